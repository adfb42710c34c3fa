//! Completeness of the OpenAPI document.

use std::collections::HashSet;

use regex::Regex;
use reqwest::Method;
use serde_json::{Map, Value};

use crate::{app::TestApp, world::World};

fn document() -> Value {
    serde_json::from_str(include_str!("../../openapi/openapi.json")).expect("JSON")
}

fn members(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}"))
}

#[track_caller]
fn assert_text(value: &Value, what: &str) {
    assert!(value.as_str().is_some_and(|text| !text.trim().is_empty()), "{what}: {value}");
}

/// Components stand for what they name.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|place| place.strip_prefix('#')) {
        Some(place) => document.pointer(place).unwrap_or_else(|| panic!("there is no {place}")),
        None => schema,
    }
}

/// A description of its own, or that of what it names.
fn described<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let named = schema["allOf"].get(0).map_or(schema, |part| part);
    schema.get("description").unwrap_or_else(|| &resolved(document, named)["description"])
}

/// Every value that a caller may send has limits.
fn is_bounded(document: &Value, schema: &Value) -> bool {
    let schema = resolved(document, schema);
    let all = |list: &str| schema[list].as_array().map(|parts| parts.iter().all(|part| is_bounded(document, part)));
    if let Some(bounded) = all("allOf").or_else(|| all("anyOf")) {
        return bounded;
    }
    let has = |names: &[&str]| names.iter().any(|name| schema.get(*name).is_some());
    match schema["type"].as_str() {
        Some("string") => has(&["enum", "pattern"]) || schema["format"] == "date-time",
        Some("integer") => has(&["minimum"]) && has(&["maximum", "format"]),
        Some("array") => has(&["maxItems"]) && is_bounded(document, &schema["items"]),
        Some("object") => {
            schema["additionalProperties"].is_boolean() || has(&["additionalProperties", "maxProperties"])
        }
        Some("boolean") => true,
        _ => false,
    }
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let items = members(&document["paths"]).values();
    items.flat_map(members).map(|(_, operation)| (operation["operationId"].as_str().expect("an id"), operation))
}

#[test]
fn document_of_each_operation_has_descriptions_and_examples() {
    let document = document();
    let mut ids = HashSet::new();
    for (id, operation) in operations(&document) {
        assert!(ids.insert(id), "{id} is there twice");
        assert_text(&operation["summary"], id);
        assert_text(&operation["description"], id);
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolved(&document, parameter);
            let what = format!("{} of {id}", parameter["name"]);
            assert_text(&parameter["description"], &what);
            let schema = resolved(&document, &parameter["schema"]);
            let has_example = [parameter, schema].iter().any(|one| one.get("example").is_some());
            assert!(has_example || schema["enum"].is_array(), "{what} has an example");
            assert!(is_bounded(&document, &parameter["schema"]), "{what}: {}", parameter["schema"]);
        }
        if let Some(body) = operation.get("requestBody") {
            let schema = resolved(&document, &body["content"]["application/json"]["schema"]);
            assert!(schema["example"].is_object(), "the body of {id} has an example");
        }
        assert_eq!(operation["responses"]["default"]["$ref"], "#/components/responses/Problem", "{id}");
        for (status, response) in members(&operation["responses"]) {
            let response = resolved(&document, response);
            assert_text(&response["description"], id);
            let problem = &response["content"]["application/problem+json"];
            assert_eq!(problem.is_object(), status.as_str() >= "400", "{id} {status}");
            let example = problem["example"]["status"].as_u64();
            assert!(!problem.is_object() || status == "default" || example == status.parse().ok(), "{id} {status}");
        }
    }
}

/// An example that the schema beside it refuses leads its readers astray.
#[test]
fn document_example_of_each_schema_fits_it() {
    let document = document();
    let mut count = 0;
    for (component, schema) in members(&document["components"]["schemas"]) {
        let members = schema.get("properties").map(members).into_iter().flatten();
        for (name, schema) in members.chain([(component, schema)]).filter(|(_, schema)| schema.get("example").is_some())
        {
            let errors = misfits(&document, &schema["example"], schema);
            assert!(errors.is_empty(), "{component}.{name}: {errors:?}");
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
}

/// Returns what a schema says against a value.
fn misfits(document: &Value, value: &Value, schema: &Value) -> Vec<String> {
    let schema = resolved(document, schema["allOf"].get(0).unwrap_or(schema));
    let mut errors = Vec::new();
    let mut check = |fits: bool, rule: &str| {
        if !fits {
            errors.push(format!("{value}: {rule} {}", schema[rule]));
        }
    };
    let text = value.as_str().unwrap_or_default();
    if let Some(words) = schema["enum"].as_array() {
        check(words.contains(value), "enum");
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        check(Regex::new(pattern).expect("a pattern").is_match(text), "pattern");
    }
    if let Some(most) = schema["maxLength"].as_u64() {
        check(text.chars().count() as u64 <= most, "maxLength");
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64()) {
        check(number >= least, "minimum");
    }
    if let (Some(most), Some(number)) = (schema["maximum"].as_f64(), value.as_f64()) {
        check(number <= most, "maximum");
    }
    let fits = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        _ => value.is_object(),
    };
    check(fits, "type");
    for (name, member) in schema.get("properties").map(members).into_iter().flatten() {
        if let Some(value) = value.get(name) {
            errors.extend(misfits(document, value, member));
        }
    }
    for item in value.as_array().into_iter().flatten() {
        errors.extend(misfits(document, item, &schema["items"]));
    }
    errors
}

#[test]
fn operation_id_has_admin_prefix_exactly_on_staff_paths() {
    let document = document();
    for (path, item) in members(&document["paths"]) {
        for operation in members(item).values() {
            let id = operation["operationId"].as_str().expect("an id");
            assert_eq!(id.starts_with("admin_"), path.starts_with("/v1/admin/"), "{id} of {path}");
        }
    }
}

/// A component of its own would be a type of its own in generated clients.
#[test]
fn document_schema_of_scalar_type_is_inlined() {
    let document = document();
    for (name, schema) in members(&document["components"]["schemas"]) {
        assert_ne!(schema["type"], "boolean", "{name}");
        assert_ne!(schema["format"], "date-time", "{name}");
        assert!(schema["type"] != "integer" || name == "Id", "{name}");
        assert!(!name.starts_with("Line") && !name.starts_with("Number"), "{name}");
    }
}

#[test]
fn document_member_of_each_schema_has_description() {
    let document = document();
    for (component, schema) in members(&document["components"]["schemas"]) {
        for (name, member) in schema.get("properties").map(members).into_iter().flatten() {
            let what = format!("{component}.{name}");
            assert_text(described(&document, member), &what);
            if schema["additionalProperties"] == false {
                assert!(is_bounded(&document, member), "{what}: {member}");
            }
            let member = resolved(&document, member);
            if member["type"] == "integer" {
                assert!(member.get("format").is_some(), "{what}: {member}");
            }
        }
    }
}

/// Descriptions are Markdown, where a line that begins with a number and a dot is a list, whatever it was meant to be.
#[test]
fn description_read_as_markdown_has_no_numbered_list() {
    fn check(value: &Value) {
        for (name, member) in value.as_object().into_iter().flatten() {
            let lines = member.as_str().filter(|_| name == "description").unwrap_or_default().lines();
            for line in lines {
                let rest = line.trim_start().trim_start_matches(|character: char| character.is_ascii_digit());
                let is_list = rest.len() < line.trim_start().len() && rest.starts_with(['.', ')']);
                assert!(!is_list, "this line is read as a list, so wrap it elsewhere: {line}");
            }
        }
        let items = value.as_array().into_iter().flatten();
        items.chain(value.as_object().into_iter().flat_map(Map::values)).for_each(check);
    }
    check(&document());
}

/// Bodies of requests are the objects that refuse what they do not know.
#[test]
fn document_schema_of_each_request_body_forbids_unknown_members() {
    let document = document();
    for (id, operation) in operations(&document) {
        if let Some(body) = operation.get("requestBody") {
            let schema = resolved(&document, &body["content"]["application/json"]["schema"]);
            assert_eq!(schema["additionalProperties"], false, "{id}");
        }
    }
}

/// Examples work as they are.
#[tokio::test]
async fn request_with_body_of_each_example_is_accepted() {
    let world = World::new().await;
    for operation in world.operations().await {
        if operation.body.is_some() {
            let response = world.call(&operation, Some("admin")).await;
            assert!(![400, 415, 422].contains(&response.status.as_u16()), "{}: {}", operation.id, response.text);
        }
    }
}

#[tokio::test]
async fn problem_code_of_each_kind_is_listed_and_documented() {
    let app = TestApp::start().await;
    let list = app.request(Method::GET, "/v1/problem", None, None).await.expect(200);
    let described = document();
    let described = described.pointer("/components/schemas/Problem/properties/code/description");
    let described = described.and_then(Value::as_str).expect("a description");
    let items = list["items"].as_array().expect("codes");
    for code in items {
        assert_text(&code["description"], "a code");
        let line = format!("- `{}` ({}): ", code["code"].as_str().expect("a code"), code["status"]);
        assert!(described.contains(&line), "{line}");
    }
    let refused = app.get("/v1/net/vpn/1", "alice").await.expect(404);
    assert!(items.iter().any(|code| code["code"] == refused["code"] && code["status"] == refused["status"]));
}
