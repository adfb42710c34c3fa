//! The OpenAPI document: the framework's, corrected. The served document, the docs page, the `Allow` header, `/api/`
//! and the committed `openapi/openapi.json` are all derived from it.

use serde_json::{Map, Value, json};

use super::{
    conventions, examples, members,
    operation::{Access, METHODS, access},
};
use crate::{code::Code, error::MAX_ERRORS, http::problem::CONTENT_TYPE};

/// Converts the document that the framework prints to the one that is served.
pub(in crate::server) fn corrected(generated: &str) -> Result<Value, serde_json::Error> {
    let mut document: Value = serde_json::from_str(generated)?;
    document["openapi"] = "3.0.3".into();
    if let Some(servers) = document.get_mut("servers") {
        *servers = json!([{ "url": "/" }]);
    }
    walk(&mut document);
    for (name, schema) in object(&mut document["components"]["schemas"]) {
        if ["Create", "Update", "Filter", "Payload"].iter().any(|kind| name.ends_with(kind)) {
            schema["additionalProperties"] = false.into();
        }
        members::describe(schema);
    }
    document["components"]["schemas"]["Problem"] = problem_schema();
    document["components"]["schemas"]["ProblemField"] = problem_field_schema();
    document["components"]["headers"] = conventions::headers();
    let requirements = security_requirements(&document);
    for (path, item) in object(&mut document["paths"]) {
        let is_object = conventions::is_object(path, item);
        for (method, operation) in object(item) {
            if METHODS.contains(&method.as_str()) {
                if operation.get("security").is_none() {
                    // An explicit empty list shows that security was not forgotten. Clients send credentials only where
                    // they are named.
                    operation["security"] = if path == DESCRIBES_CALLER { requirements.clone() } else { json!([]) };
                }
                add_problems(path, method, operation);
                conventions::add(method, is_object, operation);
                conventions::add_headers(method, operation);
            }
        }
    }
    examples::add(&mut document);
    Ok(document)
}

fn object(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten()
}

fn walk(value: &mut Value) {
    match value {
        Value::Object(map) => {
            strip_media_type_parameters(map);
            name_known_formats(map);
            say_things_once(map);
            map.values_mut().for_each(walk);
        }
        Value::Array(items) => items.iter_mut().for_each(walk),
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

/// Removes what stands beside a reference and is repeated inside `allOf`; generators make a second type of it.
fn say_things_once(map: &mut Map<String, Value>) {
    if let Some(Value::Array(parts)) = map.get_mut("allOf")
        && parts.iter().any(|part| part.get("$ref").is_some())
    {
        parts.retain(|part| part.get("$ref").is_some());
    }
}

fn problem_schema() -> Value {
    let codes = Code::ALL.iter().map(|code| format!("- `{code}` ({}): {}", code.status(), code.about()));
    let codes = codes.collect::<Vec<_>>().join("\n");
    let text =
        |description: &str, example: &str| json!({ "type": "string", "description": description, "example": example });
    json!({
        "type": "object",
        "description": "An error (RFC 9457). The request has not changed anything.",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": text("Always `about:blank`; `code` identifies the kind of problem.", "about:blank"),
            "title": text("The status as text.", "Unprocessable Entity"),
            "status": {
                "type": "integer",
                "format": "int32",
                "description": "The HTTP status.",
                "minimum": 400,
                "maximum": 599,
                "example": 422
            },
            "detail": text("What is wrong and how to correct it, for people.", "one field is wrong"),
            // Without a pattern: generators would make a type of it, with the name of the list's items.
            "code": {
                "type": "string",
                "description": format!("A stable code for programs. New versions may add further codes:\n\n{codes}"),
                "example": "invalid"
            },
            "errors": {
                "type": "array",
                "description": "The invalid fields.",
                "maxItems": MAX_ERRORS,
                "items": { "$ref": "#/components/schemas/ProblemField" }
            },
            "request_id": text("Identifies the request in the server's log.", "9f86d081884c7d65")
        }
    })
}

fn problem_field_schema() -> Value {
    json!({
        "type": "object",
        "description": "An invalid field.",
        "required": ["in", "pointer", "message"],
        "properties": {
            "in": { "type": "string", "enum": ["body", "query", "path", "header"], "description": "Location of the field.", "example": "body" },
            "pointer": { "type": "string", "description": "JSON pointer (RFC 6901) into the body; for a parameter its name after a slash.", "example": "/network_size" },
            "message": { "type": "string", "description": "What is wrong, and the accepted form.", "example": "must be a whole number from 1 to 128" }
        }
    })
}

/// The path that is public, but whose response depends on the caller.
const DESCRIBES_CALLER: &str = "/api";

/// Returns every security scheme of the document, and the empty one.
fn security_requirements(document: &Value) -> Value {
    let schemes = document["components"]["securitySchemes"].as_object().into_iter().flatten();
    std::iter::once(json!({})).chain(schemes.map(|(name, _)| json!({ name: [] }))).collect()
}

/// Paths of single objects, which may not exist yet.
const UNSET_AT_FIRST: [&str; 2] = ["/v1/admin/seller", "/v1/billing_address"];

/// Adds the errors that an operation can return, which follow from its parameters and body.
fn add_problems(path: &str, method: &str, operation: &mut Value) {
    let access = access(path, operation);
    let has_body = operation.get("requestBody").is_some();
    let mut add = |status: &str, description: &str, headers: Value| {
        let mut response = json!({
            "description": description,
            "content": { CONTENT_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } } }
        });
        if headers.is_object() {
            response["headers"] = headers;
        }
        operation["responses"][status] = response;
    };
    let wait = json!({ "Retry-After": { "$ref": "#/components/headers/RetryAfter" } });
    add("400", "Malformed request", Value::Null);
    // Wrong or insufficient credentials are refused on every operation.
    let sign_in = json!({ "description": "How to sign in", "schema": { "type": "string", "example": "Bearer realm=\"uncloud\"" } });
    add("401", "Missing or wrong credentials", json!({ "WWW-Authenticate": sign_in }));
    add("429", "Too many requests, or too many wrong passwords", wait.clone());
    match access {
        Access::Public => {}
        Access::Authenticated => add("403", "The token lacks a scope", Value::Null),
        Access::WithPassword => add("403", "A token can't do this", Value::Null),
        Access::Staff => add("403", "Only staff may do this, or the token lacks a scope", Value::Null),
    }
    if UNSET_AT_FIRST.contains(&path) {
        add("404", "Not set yet", Value::Null);
    }
    if path.contains('{') {
        add("404", "The object does not exist, or belongs to another customer", Value::Null);
    }
    if has_body || (path.contains('{') && method != "get") {
        add("409", "Conflict with the current state", Value::Null);
    }
    if has_body {
        add("408", "The body took too long to arrive", Value::Null);
        add("413", "The body is too large", Value::Null);
        add("415", "The body is not declared as JSON", Value::Null);
        add("422", "All fields with invalid values", Value::Null);
    }
    add("500", "Internal error", Value::Null);
    add("503", "A dependency is unavailable; try again later", wait);
    for (_, response) in object(&mut operation["responses"]) {
        if response["description"] == "" {
            response["description"] = "Success".into();
        }
    }
}
