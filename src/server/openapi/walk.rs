//! The parts of a document that its corrections go through.

use serde_json::Value;

/// Returns the members of an object.
pub(super) fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten()
}

/// Returns the operations with their paths and methods.
pub(super) fn operations(document: &mut Value) -> impl Iterator<Item = (&str, &str, &mut Value)> {
    members(&mut document["paths"]).flat_map(|(path, item)| {
        members(item).map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// Returns the parameters with the paths and the ids of their operations.
pub(super) fn parameters(document: &mut Value) -> impl Iterator<Item = (&str, String, &mut Value)> {
    operations(document).flat_map(|(path, _, operation)| {
        let id = text(operation, "operationId");
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        parameters.into_iter().flatten().map(move |parameter| (path, id.clone(), parameter))
    })
}

/// Returns a member that is a text, or an empty one.
pub(super) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}
