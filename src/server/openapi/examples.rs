//! Examples in the document: those of scalars, from which Swagger UI and this file make those of objects, so that each
//! matches the schema beside it. Bodies of requests have one that the server accepts as it is.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    bodies, values,
    walk::{self, members},
};

/// Maximum depth of schemas. They do not refer to themselves, so none is this deep (a property of another component is
/// three levels deep).
const DEPTH: usize = 32;

/// Adds the examples. What refers to a component has the component's.
pub(super) fn add(document: &mut Value) {
    for (name, schema) in members(&mut document["components"]["schemas"]) {
        of_properties(name, schema);
    }
    let schemas = document["components"]["schemas"].clone();
    for name in bodies_of_requests(document) {
        let example = bodies::example(&name).unwrap_or_else(|| of_schema("", &schemas[&name], &schemas, DEPTH));
        document["components"]["schemas"][&name]["example"] = example;
    }
    for (_, _, parameter) in walk::parameters(document) {
        let described = parameter["schema"].get("example").is_some() || parameter["schema"]["$ref"].is_string();
        if !described {
            let name = walk::text(parameter, "name");
            parameter["example"] = of_schema(&name, &parameter["schema"], &schemas, DEPTH);
        }
    }
}

/// Returns the names of the components that bodies of requests consist of.
fn bodies_of_requests(document: &mut Value) -> BTreeSet<String> {
    let bodies = walk::operations(document).filter_map(|(_, _, operation)| operation.get_mut("requestBody"));
    let contents = bodies.flat_map(|body| members(&mut body["content"]));
    let references = contents.filter_map(|(_, media)| media["schema"]["$ref"].as_str());
    references.filter_map(|place| place.rsplit('/').next()).map(str::to_owned).collect()
}

/// Adds examples to scalar properties of an object that have none yet.
fn of_properties(component: &str, schema: &mut Value) {
    for (name, property) in schema.get_mut("properties").into_iter().flat_map(members) {
        let scalar = ["string", "integer", "number", "boolean"].iter().any(|kind| property["type"] == *kind);
        if scalar && property.get("example").is_none() {
            let example = values::of_member(component, name).unwrap_or_else(|| of_scalar(name, property));
            if !example.is_null() {
                property["example"] = example;
            }
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
    if let Some(part) = schema["allOf"].get(0) {
        return deeper(name, part);
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

/// Returns an example by the member's name if it is known, or else by its schema; null for a text that is not known.
fn of_scalar(name: &str, schema: &Value) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "bounds of whole numbers")]
    let bound = |name: &str, default| schema[name].as_f64().map_or(default, |bound| bound as i64);
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("date-time")) => json!("2026-01-31T12:00:00Z"),
        (Some("string"), Some("date")) => json!("2026-01-31"),
        (Some("string"), _) => values::text(name).map_or(Value::Null, Value::from),
        (Some("integer"), _) => {
            json!(values::number(name).clamp(bound("minimum", i64::MIN), bound("maximum", i64::MAX)))
        }
        (Some("number"), _) => json!(0.5),
        (Some("boolean"), _) => json!(values::is_true(name)),
        _ => json!({}),
    }
}
