//! What holds for every operation of a kind, whichever noun it is of, in the document: keys for sending again,
//! preconditions, tags and links. `call` keeps it.

use serde_json::{Value, json};

use crate::http::problem::CONTENT_TYPE;

/// There is one of each, for everybody or for each customer.
const SINGLE: [&str; 2] = ["/v1/admin/seller", "/v1/billing_address"];
/// What is told of them is another thing each time, so there is no state to have read.
const LIVE: [&str; 2] = ["/v1/admin/queue/{name}", "/v1/admin/worker/{id}"];

/// Whether at this path there is one object, with all of its operations, that can be read.
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

/// Adds to an operation what its kind is known by.
pub(in crate::server) fn add(method: &str, is_object: bool, operation: &mut Value) {
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    match method {
        "post" => parameters.push(sent_again(operation)),
        "get" if is_object => {
            parameters.push(parameter(
                "If-None-Match",
                "The `ETag` of an answer: if it would be the same, 304 comes instead.",
                "^(\\*|(W/)?\"[A-Za-z0-9_.-]+\"( *, *(W/)?\"[A-Za-z0-9_.-]+\")*)$",
                ETAG,
            ));
            let headers = json!({ "ETag": header("Names this state of the object", ETAG) });
            operation["responses"]["304"] = json!({ "description": "As before", "headers": headers });
        }
        "get" if parameters.iter().any(|parameter| parameter["name"] == "cursor") => {
            let link = "</v1/net/vpn?limit=50&cursor=42>; rel=\"next\"";
            operation["responses"]["200"]["headers"]["Link"] = header("Where the next page is (RFC 8288)", link);
        }
        "patch" | "put" | "delete" if is_object => {
            parameters.push(parameter(
                "If-Match",
                "The `ETag` of what the caller has read: if somebody has changed the object since, the edit is refused.",
                "^(\\*|\"[A-Za-z0-9_.-]+\"( *, *\"[A-Za-z0-9_.-]+\")*)$",
                ETAG,
            ));
            operation["responses"]["412"] = problem("The object has changed since the caller read it");
        }
        _ => {}
    }
    if is_object && ["get", "patch", "put"].contains(&method) {
        operation["responses"]["200"]["headers"]["ETag"] = header("Names this state of the object", ETAG);
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
        operation["responses"]["400"] = problem("Not even the form is right");
    }
}

/// The headers of many answers, as components.
pub(in crate::server) fn headers() -> Value {
    let secs = json!({ "type": "integer", "format": "int32", "minimum": 1, "example": 5 });
    json!({
        "XRequestId": header("Names the request in the server's log", "9f86d081884c7d65"),
        "RateLimit": header("Requests left, and seconds until there are more (draft-ietf-httpapi-ratelimit-headers)", "\"user\";r=5999;t=60"),
        "RateLimitPolicy": header("Requests in so many seconds", "\"user\";q=6000;w=60"),
        "IdempotencyReplayed": header("`true`: nothing was done this time", "true"),
        "RetryAfter": { "description": "Seconds after which trying again may help", "schema": secs },
    })
}

/// Adds to all answers of an operation the headers that any of them may have.
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

/// The key with which a request may be sent again, and what it can be refused for.
fn sent_again(operation: &mut Value) -> Value {
    let responses = &mut operation["responses"];
    responses["409"] = problem("At odds with what is there, or a request with this key is still being worked on");
    responses["422"] = problem("Fields with wrong values, all of them; or the key was used for another request");
    parameter(
        "Idempotency-Key",
        "Made up by the caller: with it the request may be sent again for 24 hours, and is done once. The first answer comes again, with `Idempotency-Replayed: true`.",
        "^[!-~]{1,255}$",
        "2f0a1c7e-5b1d-4b52-9d0e-3f6c8a7b9e10",
    )
}
