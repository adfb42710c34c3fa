//! The OpenAPI document: the framework's, corrected. `openapi/openapi.json` is a copy of it, which the server serves.

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::{conventions, examples, members, problems, sharing, walk};
use crate::server::operations::{Access, Rules, rules};

/// Converts the document that the framework prints to the one that is served.
pub(in crate::server) fn corrected(generated: &str) -> anyhow::Result<Value> {
    let mut document = complete(generated)?;
    sharing::share(&mut document)?;
    Ok(document)
}

/// Returns the whole document, in which each operation still has its own copy of what several have.
fn complete(generated: &str) -> anyhow::Result<Value> {
    let mut document: Value = serde_json::from_str(generated)?;
    document["openapi"] = "3.0.3".into();
    if let Some(servers) = document.get_mut("servers") {
        *servers = json!([{ "url": "/" }]);
    }
    document["security"] = json!([{ "basic": [] }, { "bearer": [] }]);
    correct_all(&mut document);
    for (name, schema) in walk::members(&mut document["components"]["schemas"]) {
        if ["Create", "Update", "Filter", "Payload"].iter().any(|kind| name.ends_with(kind)) {
            schema["additionalProperties"] = false.into();
        }
        members::describe(schema);
    }
    document["components"]["schemas"]["Problem"] = problems::schema();
    document["components"]["schemas"]["ProblemField"] = problems::field_schema();
    document["components"]["responses"] = problems::responses();
    document["components"]["headers"] = conventions::headers();
    document["components"]["securitySchemes"] = security_schemes();
    for (path, method, operation) in walk::operations(&mut document) {
        let id = walk::text(operation, "operationId");
        let rules = rules(&id).with_context(|| format!("operation {id:?} has no row in the table"))?;
        add_security(rules, operation);
        conventions::add(rules, method, operation);
        problems::add(rules, path, method, operation);
    }
    examples::add(&mut document);
    Ok(document)
}

fn security_schemes() -> Value {
    json!({
        "basic": { "type": "http", "scheme": "basic", "description": "User name and password." },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token, created with `POST /v1/token`. GET needs the scope `read`, every other method `write`, and /v1/admin/ also `staff`."
        }
    })
}

/// Adds what differs from the document's own requirement, a password or a token. Clients send credentials only where
/// they are named.
fn add_security(rules: &Rules, operation: &mut Value) {
    let requirement = match rules.access {
        Access::Public if rules.describes_caller => json!([{}, { "basic": [] }, { "bearer": [] }]),
        Access::Public => json!([]),
        Access::WithPassword => json!([{ "basic": [] }]),
        Access::Authenticated | Access::Staff => return,
    };
    operation["security"] = requirement;
}

fn correct_all(value: &mut Value) {
    match value {
        Value::Object(map) => {
            strip_media_type_parameters(map);
            name_known_formats(map);
            say_things_once(map);
            leave_out_defaults(map);
            map.values_mut().for_each(correct_all);
        }
        Value::Array(items) => items.iter_mut().for_each(correct_all),
        _ => {}
    }
}

/// Generators do not recognize `application/json; charset=utf-8` as a key.
fn strip_media_type_parameters(map: &mut Map<String, Value>) {
    let with_parameters: Vec<String> = map.keys().filter(|key| key.contains("; charset=")).cloned().collect();
    for key in with_parameters {
        if let (Some(value), Some(essence)) = (map.remove(&key), key.split(';').next()) {
            map.insert(essence.to_owned(), value);
        }
    }
}

/// OpenAPI defines int32, int64 and date; the other integers are described by their bounds.
fn name_known_formats(map: &mut Map<String, Value>) {
    let (format, max) = match map.get("format").and_then(Value::as_str) {
        Some("uint8") => ("int32", i64::from(u8::MAX)),
        Some("uint16") => ("int32", i64::from(u16::MAX)),
        Some("uint32") => ("int64", i64::from(u32::MAX)),
        Some(other) => {
            let known = [("int16", "int32"), ("uint64", "int64"), ("naive-date", "date")];
            if let Some((_, format)) = known.iter().find(|(name, _)| *name == other) {
                map.insert("format".into(), (*format).into());
            }
            return;
        }
        None => return,
    };
    map.insert("format".into(), format.into());
    map.entry("minimum").or_insert(0.into());
    map.entry("maximum").or_insert(max.into());
}

/// Removes what says no more than its absence: parameters and headers are optional, current and exploded unless they say
/// otherwise.
fn leave_out_defaults(map: &mut Map<String, Value>) {
    if map.contains_key("schema") {
        for (name, default) in [("required", false), ("deprecated", false), ("explode", true)] {
            if map.get(name) == Some(&default.into()) {
                map.remove(name);
            }
        }
    }
}

/// Removes what stands beside a reference and is repeated inside `allOf`; generators make a second type of it.
fn say_things_once(map: &mut Map<String, Value>) {
    if let Some(Value::Array(parts)) = map.get_mut("allOf")
        && parts.iter().any(|part| part.get("$ref").is_some())
    {
        parts.retain(|part| part.get("$ref").is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::specification::generated;

    /// Replaces references to shared parameters and responses by what they refer to.
    fn resolve(value: &mut Value, components: &Value) {
        if let Some(place) = value["$ref"].as_str().and_then(|place| place.strip_prefix("#/components/"))
            && (place.starts_with("parameters/") || place.starts_with("responses/"))
        {
            *value = components.pointer(&format!("/{place}")).cloned().unwrap_or_else(|| panic!("there is no {place}"));
        }
        match value {
            Value::Object(map) => map.values_mut().for_each(|value| resolve(value, components)),
            Value::Array(items) => items.iter_mut().for_each(|value| resolve(value, components)),
            _ => {}
        }
    }

    #[test]
    fn sharing_leaves_the_meaning_of_the_document() {
        let (mut before, mut after) =
            (complete(&generated()).expect("whole"), corrected(&generated()).expect("shared"));
        for document in [&mut before, &mut after] {
            let components = document["components"].clone();
            resolve(&mut document["paths"], &components);
        }
        assert_eq!(before["paths"], after["paths"]);
        assert_eq!(before["components"]["schemas"], after["components"]["schemas"]);
    }

    #[test]
    fn document_is_small() {
        let document = corrected(&generated()).expect("a document");
        let lines = serde_json::to_string_pretty(&document).expect("text").lines().count();
        let bytes = document.to_string().len();
        assert!(lines <= 15_000 && bytes <= 250_000, "{lines} lines, {bytes} bytes");
    }
}
