//! The conventions of each kind of operation, added to the document: idempotency keys, preconditions, ETags and links.
//! `call` implements them.

use serde_json::{Value, json};

use crate::http::problem::CONTENT_TYPE;

/// Paths of objects that exist once, globally or for each customer.
const SINGLE: [&str; 2] = ["/v1/admin/seller", "/v1/billing_address"];
/// Paths whose representation changes with every read, so that it has no ETag.
const LIVE: [&str; 2] = ["/v1/admin/queue/{name}", "/v1/admin/worker/{id}"];

/// Returns whether the path is of one object, with all of its operations, that can be read.
pub(in crate::server) fn is_object(path: &str, item: &Value) -> bool {
    item.get("get").is_some() && (path.ends_with('}') || SINGLE.contains(&path)) && !LIVE.contains(&path)
}

fn parameter(name: &str, description: &str, pattern: &str, example: &str) -> Value {
    json!({
        "name": name, "in": "header", "required": false, "description": description,
        "schema": { "type": "string", "pattern": pattern, "example": example }
    })
}

fn problem(description: &str) -> Value {
    let schema = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
    json!({ "description": description, "content": { CONTENT_TYPE: schema } })
}

fn header(description: &str, example: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string", "example": example } })
}

const ETAG: &str = "\"2Zl5MyXsbvH_S0gQ.qrZyBw8Fq2hX0cAb\"";

/// Adds the headers and responses that an operation of its kind has.
pub(in crate::server) fn add(method: &str, is_object: bool, operation: &mut Value) {
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    match method {
        "post" => parameters.push(sent_again(operation)),
        "get" if is_object => {
            parameters.push(parameter(
                "If-None-Match",
                "The `ETag` of an earlier response: if the object still has it, the server returns 304.",
                "^(\\*|(W/)?\"[A-Za-z0-9_.-]+\"( *, *(W/)?\"[A-Za-z0-9_.-]+\")*)$",
                ETAG,
            ));
            let headers = json!({ "ETag": header("Identifies this state of the object", ETAG) });
            operation["responses"]["304"] = json!({ "description": "Not modified", "headers": headers });
        }
        "get" if parameters.iter().any(|parameter| parameter["name"] == "cursor") => {
            let link = "</v1/net/vpn?limit=50&cursor=42>; rel=\"next\"";
            operation["responses"]["200"]["headers"]["Link"] = header("Link to the next page (RFC 8288)", link);
        }
        "patch" | "put" | "delete" if is_object => {
            parameters.push(parameter(
                "If-Match",
                "The `ETag` of the state that the caller has read: the update is refused if the object has changed since.",
                "^(\\*|\"[A-Za-z0-9_.-]+\"( *, *\"[A-Za-z0-9_.-]+\")*)$",
                ETAG,
            ));
            operation["responses"]["412"] = problem("The object has changed since the caller read it");
        }
        _ => {}
    }
    if is_object && ["get", "patch", "put"].contains(&method) {
        operation["responses"]["200"]["headers"]["ETag"] = header("Identifies this state of the object", ETAG);
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
        operation["responses"]["400"] = problem("Malformed request");
    }
}

/// Returns the headers that many responses share, as components.
pub(in crate::server) fn headers() -> Value {
    let secs = json!({ "type": "integer", "format": "int32", "minimum": 1, "example": 5 });
    json!({
        "XRequestId": header("Identifies the request in the server's log", "9f86d081884c7d65"),
        "RateLimit": header("Requests left, and seconds until there are more (draft-ietf-httpapi-ratelimit-headers)", "\"user\";r=5999;t=60"),
        "RateLimitPolicy": header("The limit: requests per window in seconds", "\"user\";q=6000;w=60"),
        "IdempotencyReplayed": header("`true`: this is the recorded response of an earlier request", "true"),
        "RetryAfter": { "description": "Seconds to wait before the next attempt", "schema": secs },
    })
}

/// Adds to all responses of an operation the headers that any of them may have.
pub(in crate::server) fn add_headers(method: &str, operation: &mut Value) {
    let mut names =
        vec![("X-Request-Id", "XRequestId"), ("RateLimit", "RateLimit"), ("RateLimit-Policy", "RateLimitPolicy")];
    if method == "post" {
        names.push(("Idempotency-Replayed", "IdempotencyReplayed"));
    }
    for response in operation["responses"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        for (name, component) in &names {
            response["headers"][*name] = json!({ "$ref": format!("#/components/headers/{component}") });
        }
    }
}

/// Adds the responses about the idempotency key, and returns its header parameter.
fn sent_again(operation: &mut Value) -> Value {
    let responses = &mut operation["responses"];
    responses["409"] = problem("Conflict with the current state, or a request with this key is still in progress");
    responses["422"] = problem("All fields with invalid values; or the key was used for another request");
    parameter(
        "Idempotency-Key",
        "A unique value chosen by the caller. With the same key, the request may be sent again for 24 hours and is executed once; the server returns the first response again, with `Idempotency-Replayed: true`.",
        "^[!-~]{1,255}$",
        "2f0a1c7e-5b1d-4b52-9d0e-3f6c8a7b9e10",
    )
}
