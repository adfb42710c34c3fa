//! Examples in the document: one for every scalar, from which those of all parameters, bodies and responses are made,
//! so that each matches the schema beside it.

use serde_json::{Map, Value, json};

use super::bodies;
use crate::http::problem;

/// Maximum depth of schemas. They do not refer to themselves, so none is this deep (a property of another component is
/// three levels deep).
const DEPTH: usize = 32;

/// Adds the examples. Problems get theirs by status, since all of them share one schema.
pub(in crate::server) fn add(document: &mut Value) {
    for (name, schema) in members(&mut document["components"]["schemas"]) {
        of_properties(schema);
        if let Some(example) = bodies::example(name) {
            schema["example"] = example;
        }
    }
    let schemas = document["components"]["schemas"].clone();
    for (_, item) in members(&mut document["paths"]) {
        for (_, operation) in members(item) {
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap_or_default().to_owned();
                parameter["example"] = of_schema(&name, &parameter["schema"], &schemas, DEPTH);
            }
            if operation.get("requestBody").is_some() {
                of_content(&mut operation["requestBody"]["content"], &schemas, "");
            }
            for (status, response) in members(&mut operation["responses"]) {
                if response.get("content").is_some() {
                    of_content(&mut response["content"], &schemas, status);
                }
            }
        }
    }
}

fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten()
}

fn of_content(content: &mut Value, schemas: &Value, status: &str) {
    for (media_type, media) in members(content) {
        media["example"] = if media_type == problem::CONTENT_TYPE {
            problem::example(status.parse().unwrap_or_default())
        } else {
            of_schema("", &media["schema"], schemas, DEPTH)
        };
    }
}

/// Adds examples to scalar properties of an object that have none yet.
fn of_properties(schema: &mut Value) {
    for (name, property) in schema.get_mut("properties").into_iter().flat_map(members) {
        let scalar = ["string", "integer", "number", "boolean"].iter().any(|kind| property["type"] == *kind);
        if scalar && property.get("example").is_none() {
            let example = of_scalar(name, property);
            property["example"] = example;
        }
    }
}

fn of_schema(name: &str, schema: &Value, schemas: &Value, depth: usize) -> Value {
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if depth == 0 {
        return Value::Null;
    }
    let deeper = |name: &str, schema: &Value| of_schema(name, schema, schemas, depth - 1);
    if let Some(referred) = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next()) {
        return deeper(name, &schemas[referred]);
    }
    if ["allOf", "anyOf", "oneOf"].iter().any(|list| schema.get(*list).is_some()) {
        return of_parts(name, schema, &deeper);
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties.map(|(name, property)| (name.clone(), deeper(name, property))).collect::<Map<_, _>>().into()
        }
        Some("array") => json!([deeper(name, &schema["items"])]),
        _ => of_scalar(name, schema),
    }
}

/// Merges the parts of a composed object (`allOf`), or takes the first alternative.
fn of_parts(name: &str, schema: &Value, deeper: &impl Fn(&str, &Value) -> Value) -> Value {
    let mut whole = Map::new();
    let parts = schema["allOf"].as_array().map_or(&[][..], Vec::as_slice);
    for part in parts {
        match deeper(name, part) {
            Value::Object(part) => whole.extend(part),
            scalar => return scalar,
        }
    }
    if parts.is_empty() {
        return ["anyOf", "oneOf"]
            .iter()
            .find_map(|list| schema[*list].get(0))
            .map_or(Value::Null, |first| deeper(name, first));
    }
    whole.into()
}

/// Returns an example by the property's name if it is known, or else by its schema.
fn of_scalar(name: &str, schema: &Value) -> Value {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("date-time")) => json!("2026-01-31T12:00:00Z"),
        (Some("string"), Some("date")) => json!("2026-01-31"),
        (Some("string"), _) => json!(of_text(name)),
        (Some("integer"), _) => {
            let number = of_number(name);
            #[expect(clippy::cast_possible_truncation, reason = "bounds of whole numbers")]
            let number = bound("minimum").map_or(number, |least| number.max(least as i64));
            #[expect(clippy::cast_possible_truncation, reason = "bounds of whole numbers")]
            let number = bound("maximum").map_or(number, |most| number.min(most as i64));
            json!(number)
        }
        (Some("number"), _) => json!(0.5),
        (Some("boolean"), _) => json!(true),
        _ => json!({}),
    }
}

fn of_number(name: &str) -> i64 {
    match name {
        "subnetwork_size" => 48,
        "network_size" => 40,
        "listen_port" => 51820,
        "generation" | "applied_generation" => 1_769_860_800_000_000,
        "limit" => 50,
        "rss_bytes" => 18_874_368,
        "received_bytes" | "sent_bytes" => 1_048_576,
        "wait" => 30,
        "vpn_quota" => 8,
        _ => 1,
    }
}

fn of_text(name: &str) -> &'static str {
    match name {
        "hint" => "start a worker for its queue: uncloud-worker --queue vpn-1.example.ch",
        "city" => "Linthal",
        "code" => "no_billing_address",
        "company" => "Example GmbH",
        "description" => "Virtual machine: cores 2",
        "detail" => "give a billing address: PUT /v1/billing_address",
        "docs" => "/docs",
        "endpoint" => "vpn-1.example.ch:51820",
        "error" => "port 51820 of the host is taken by another program",
        "href" => "/v1/net/vpn/{id}",
        "kind" | "kinds" => "vpn_apply",
        "message" => "50 of 100 bills",
        "name" | "worker" => "vpn-1.example.ch",
        "note" => "VAT is to be paid by the customer (reverse charge).",
        "number" => "2026-000042",
        "object_id" => "42",
        "openapi" => "/openapi.json",
        "operation_id" => "vpn_read",
        "period" => "P30D",
        "pointer" => "/network_size",
        "postal_code" => "8783",
        "prefix" => "unc_8Fq2hX0c",
        "program" => "uncloud bill run",
        "quantity" => "1.000000",
        "reason" => "ticket 4711",
        "request_id" => "9f86d081884c7d65",
        "secret" => "unc_8Fq2hX0cQm1yTz7RkVbWsN4uJxLdEoPaHgCiYfGtS3A",
        "source" => "Directive 2006/112/EC, art. 97",
        "status_reason" => "the host has not confirmed this change yet",
        "street" => "Bahnhofstrasse 1",
        "summary" => "Read a network",
        "title" => "Virtual machine",
        "unique_key" | "serial_key" => "vpn_apply:1",
        "unit" => "GB",
        "vat_evidence" => "found in VIES on 3 March 2026",
        "vat_number" => "DE136695976",
        "vat_unavailable_reason" => "it depends on your billing address; set it with PUT /v1/billing_address",
        "vat_reason" => "standard rate of Switzerland",
        "version" => env!("CARGO_PKG_VERSION"),
        "event" => "dispatched",
        _ => "text",
    }
}
