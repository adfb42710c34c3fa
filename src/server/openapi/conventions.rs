//! The conventions of each kind of operation, added to the document: idempotency keys, preconditions, ETags and links.
//! `call` implements them.

use serde_json::{Value, json};

use crate::server::operations::{Kind, Rules};

const ETAG: &str = "\"2Zl5MyXsbvH_S0gQ.qrZyBw8Fq2hX0cAb\"";

fn parameter(name: &str, description: &str, pattern: &str, example: &str) -> Value {
    json!({
        "name": name, "in": "header", "description": description,
        "schema": { "type": "string", "pattern": pattern, "example": example }
    })
}

pub(super) fn header(description: &str, example: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string", "example": example } })
}

fn shared_header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// Adds the parameters, headers and responses that an operation of its kind has.
pub(super) fn add(rules: &Rules, method: &str, operation: &mut Value) {
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    match (method, rules.kind) {
        ("post", _) => parameters.push(parameter(
            "Idempotency-Key",
            "A unique value chosen by the caller. With the same key, the request may be sent again for 24 hours and is executed once; the server returns the first response again, with `Idempotency-Replayed: true`.",
            "^[!-~]{1,255}$",
            "2f0a1c7e-5b1d-4b52-9d0e-3f6c8a7b9e10",
        )),
        ("get", Kind::Object) => {
            parameters.push(parameter(
                "If-None-Match",
                "The `ETag` of an earlier response: if the object still has it, the server returns 304.",
                "^(\\*|(W/)?\"[A-Za-z0-9_.-]+\"( *, *(W/)?\"[A-Za-z0-9_.-]+\")*)$",
                ETAG,
            ));
            operation["responses"]["304"] = json!({ "$ref": "#/components/responses/NotModified" });
        }
        ("get", Kind::Page) => operation["responses"]["200"]["headers"]["Link"] = shared_header("Link"),
        (_, Kind::Object) => {
            parameters.push(parameter(
                "If-Match",
                "The `ETag` of the state that the caller has read: the update is refused if the object has changed since.",
                "^(\\*|\"[A-Za-z0-9_.-]+\"( *, *\"[A-Za-z0-9_.-]+\")*)$",
                ETAG,
            ));
            operation["responses"]["412"] = json!({ "$ref": "#/components/responses/ChangedSinceRead" });
        }
        _ => {}
    }
    if rules.kind == Kind::Object && ["get", "patch", "put"].contains(&method) {
        operation["responses"]["200"]["headers"]["ETag"] = shared_header("ETag");
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    add_headers(method, operation);
}

/// Returns the headers that many responses share, as components.
pub(super) fn headers() -> Value {
    let secs = json!({ "type": "integer", "format": "int32", "minimum": 1, "example": 5 });
    json!({
        "XRequestId": header("Identifies the request in the server's log", "9f86d081884c7d65"),
        "RateLimit": header("Requests left, and seconds until there are more (draft-ietf-httpapi-ratelimit-headers)", "\"user\";r=5999;t=60"),
        "RateLimitPolicy": header("The limit: requests per window in seconds", "\"user\";q=6000;w=60"),
        "IdempotencyReplayed": header("`true`: this is the recorded response of an earlier request", "true"),
        "ETag": header("Identifies this state of the object", ETAG),
        "Link": header("Link to the next page (RFC 8288)", "</v1/net/vpn?limit=50&cursor=42>; rel=\"next\""),
        "RetryAfter": { "description": "With 429 and 503: seconds to wait before the next attempt", "schema": secs },
    })
}

/// Adds the headers that every response has. They are repeated for errors only, which share their responses.
pub(super) fn add_common_headers(response: &mut Value) {
    for (name, component) in
        [("X-Request-Id", "XRequestId"), ("RateLimit", "RateLimit"), ("RateLimit-Policy", "RateLimitPolicy")]
    {
        response["headers"][name] = shared_header(component);
    }
}

/// Adds headers to the successful responses of an operation; its errors share theirs.
fn add_headers(method: &str, operation: &mut Value) {
    for response in operation["responses"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        if response.get("$ref").is_none() {
            name_headers(response);
            if method == "post" {
                response["headers"]["Idempotency-Replayed"] = shared_header("IdempotencyReplayed");
            }
            if response["description"] == "" {
                response["description"] = "Success".into();
            }
        }
    }
}

/// Writes the names of headers as RFC 9110 does; the framework writes them in capitals.
fn name_headers(response: &mut Value) {
    let Some(headers) = response.get_mut("headers").and_then(Value::as_object_mut) else { return };
    for name in ["Content-Disposition", "Location"] {
        if let Some(header) = headers.remove(&name.to_uppercase()) {
            headers.insert(name.to_owned(), header);
        }
    }
}
