//! What holds for every operation of a kind, whichever noun it is of, in the document. `call` keeps it.

use serde_json::{Value, json};

use super::problem::CONTENT_TYPE;

fn parameter(name: &str, description: &str, pattern: &str, example: &str) -> Value {
    json!({
        "name": name, "in": "header", "required": false, "description": description,
        "schema": { "type": "string", "pattern": pattern, "maxLength": 255, "example": example }
    })
}

fn problem(description: &str) -> Value {
    let schema = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
    json!({ "description": description, "content": { CONTENT_TYPE: schema } })
}

/// Adds to an operation what its kind is known by.
pub(super) fn add(method: &str, operation: &mut Value) {
    if method != "post" {
        return;
    }
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    parameters.push(parameter(
        "Idempotency-Key",
        "Made up by the caller: with it the request may be sent again for 24 hours, and is done once. The first answer comes again, with `Idempotency-Replayed: true`.",
        "^[!-~]{1,255}$",
        "2f0a1c7e-5b1d-4b52-9d0e-3f6c8a7b9e10",
    ));
    operation["parameters"] = parameters.into();
    let responses = &mut operation["responses"];
    responses["400"] = problem("Not even the form is right");
    responses["409"] = problem("At odds with what is there, or a request with this key is still being worked on");
    responses["422"] = problem("Fields with wrong values, all of them; or the key was used for another request");
}
