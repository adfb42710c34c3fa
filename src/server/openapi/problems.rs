//! Errors in the document: the schema of problems, and the responses that operations share.

use serde_json::{Value, json};

use super::conventions::{self, header};
use crate::{
    code::Code,
    error::MAX_ERRORS,
    http::problem::{self, CONTENT_TYPE},
    server::operations::{Access, Rules},
};

/// Shared responses: name, status of the example, and description.
const RESPONSES: [(&str, u16, &str); 10] = [
    ("PasswordRequired", 403, "A token can't do this"),
    ("ScopeRequired", 403, "The token lacks a scope"),
    ("StaffOnly", 403, "Only staff may do this, or the token lacks a scope"),
    ("NotFound", 404, "The object does not exist, or belongs to another customer"),
    ("NotSet", 404, "Not set yet"),
    ("Conflict", 409, "Conflict with the current state"),
    ("ConflictOrInProgress", 409, "Conflict with the current state, or a request with this key is still in progress"),
    ("ChangedSinceRead", 412, "The object has changed since the caller read it"),
    ("Invalid", 422, "All fields with invalid values"),
    ("InvalidOrKeyReused", 422, "All fields with invalid values; or the key was used for another request"),
];

/// Any operation may answer with these.
const ANY: &str = "Any other error: 400 (malformed request), 401 (missing or wrong credentials), 408 (the body took too \
    long to arrive), 413 (the body is too large), 415 (wrong media type), 429 (too many requests, or too many wrong \
    passwords), 500 (internal error), 503 (a dependency is unavailable; try again later)";

/// Returns the responses that operations share, as components.
pub(super) fn responses() -> Value {
    let mut responses = serde_json::Map::new();
    for (name, status, description) in RESPONSES {
        responses.insert(name.to_owned(), response(status, description));
    }
    let mut any = response(400, ANY);
    any["headers"] = json!({
        "Retry-After": { "$ref": "#/components/headers/RetryAfter" },
        "WWW-Authenticate": header("With 401: how to sign in", "Bearer realm=\"uncloud\""),
    });
    responses.insert("Problem".to_owned(), any);
    let not_modified =
        json!({ "description": "Not modified", "headers": { "ETag": { "$ref": "#/components/headers/ETag" } } });
    responses.insert("NotModified".to_owned(), not_modified);
    responses.values_mut().for_each(conventions::add_common_headers);
    responses.into()
}

fn response(status: u16, description: &str) -> Value {
    let content = json!({ "schema": { "$ref": "#/components/schemas/Problem" }, "example": problem::example(status) });
    json!({ "description": description, "content": { CONTENT_TYPE: content } })
}

/// Adds the errors that an operation can return, which follow from its row, its path and its body.
pub(super) fn add(rules: &Rules, path: &str, method: &str, operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    let is_post = method == "post";
    let mut add = |status: &str, name: &str| {
        operation["responses"][status] = json!({ "$ref": format!("#/components/responses/{name}") });
    };
    match rules.access {
        Access::Public => {}
        Access::Authenticated => add("403", "ScopeRequired"),
        Access::WithPassword => add("403", "PasswordRequired"),
        Access::Staff => add("403", "StaffOnly"),
    }
    if path.contains('{') {
        add("404", "NotFound");
    } else if rules.unset_at_first {
        add("404", "NotSet");
    }
    if is_post {
        add("409", "ConflictOrInProgress");
        add("422", "InvalidOrKeyReused");
    } else {
        if has_body || (path.contains('{') && method != "get") {
            add("409", "Conflict");
        }
        if has_body {
            add("422", "Invalid");
        }
    }
    add("default", "Problem");
}

/// Returns the schema of problems.
pub(super) fn schema() -> Value {
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

/// Returns the schema of a problem's fields.
pub(super) fn field_schema() -> Value {
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
