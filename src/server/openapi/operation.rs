//! The operations of the document, reduced to what the middleware needs, and the lookup of a request's operation.

use poem::http::Method;
use serde_json::{Value, json};

use crate::server::middleware::parameters::Parameter;

/// The methods under which a path has operations.
pub(in crate::server) const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The kind of an operation's response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Kind {
    /// One object, with its ETag.
    Object,
    /// One page of a list.
    Page,
    Other,
}

/// The callers that may use an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Access {
    Public,
    Authenticated,
    /// Users who sign in with their password, not with a token.
    WithPassword,
    Staff,
}

/// An operation, reduced to what the middleware needs.
#[derive(Debug, Clone)]
pub(in crate::server) struct Operation {
    pub method: Method,
    pub path: String,
    /// Segments of the path; `None` stands for a parameter.
    parts: Vec<Option<String>>,
    pub id: String,
    pub summary: String,
    pub access: Access,
    pub response: Kind,
    pub takes_body: bool,
    /// True for an edit that supports If-Match.
    pub takes_if_match: bool,
    pub parameters: Vec<Parameter>,
}

/// Returns all operations of a corrected document.
pub(in crate::server) fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            if METHODS.contains(&method.as_str()) {
                let text = |name: &str| operation[name].as_str().unwrap_or_default().to_owned();
                let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
                let has = |name: &str| parameters.iter().any(|parameter| parameter["name"] == name);
                operations.push(Operation {
                    method: method.to_uppercase().parse().unwrap_or_default(),
                    path: path.clone(),
                    parts: path.split('/').map(|part| (!part.starts_with('{')).then(|| part.to_owned())).collect(),
                    id: text("operationId"),
                    summary: text("summary"),
                    access: access(path, operation),
                    response: match operation["responses"]["200"]["headers"].get("ETag") {
                        Some(_) => Kind::Object,
                        None if has("cursor") => Kind::Page,
                        None => Kind::Other,
                    },
                    takes_body: operation.get("requestBody").is_some(),
                    takes_if_match: has("If-Match"),
                    parameters: parameters.iter().filter_map(|one| Parameter::of(document, one)).collect(),
                });
            }
        }
    }
    operations
}

impl Operation {
    /// Returns the parameters in a path, still encoded.
    pub(in crate::server) fn in_path<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let parts = self.path.split('/').zip(path.split('/'));
        parts.filter_map(|(part, value)| Some((part.strip_prefix('{')?.strip_suffix('}')?, value)))
    }

    fn is_at(&self, segments: &[&str]) -> bool {
        self.parts.len() == segments.len()
            && self.parts.iter().zip(segments).all(|(part, segment)| part.as_ref().is_none_or(|text| text == segment))
    }

    fn literals(&self) -> usize {
        self.parts.iter().flatten().count()
    }
}

/// Returns the operations at a path; literal segments win over parameters. Runs on every request, so the operations'
/// paths are split only once.
fn at<'a>(operations: &'a [Operation], path: &str) -> impl Iterator<Item = &'a Operation> {
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let here: Vec<&Operation> = operations.iter().filter(|operation| operation.is_at(&segments)).collect();
    let most = here.iter().map(|operation| operation.literals()).max();
    here.into_iter().filter(move |operation| Some(operation.literals()) == most)
}

/// Returns the operation of a request; HEAD is treated as GET without the body.
pub(in crate::server) fn find<'a>(operations: &'a [Operation], method: &Method, path: &str) -> Option<&'a Operation> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    at(operations, path).find(|operation| operation.method == *method)
}

/// Returns the methods that a path supports, for the header `Allow`.
pub(in crate::server) fn allowed_methods(operations: &[Operation], path: &str) -> String {
    let mut methods: Vec<&str> = at(operations, path).map(|operation| operation.method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}

/// Returns the callers that may use an operation.
pub(in crate::server) fn access(path: &str, operation: &Value) -> Access {
    let requirements = operation["security"].as_array().map_or(&[][..], Vec::as_slice);
    if requirements.is_empty() || requirements.contains(&json!({})) {
        Access::Public
    } else if is_staff(path) {
        Access::Staff
    } else if requirements.iter().any(|requirement| requirement.get("bearer").is_some()) {
        Access::Authenticated
    } else {
        Access::WithPassword
    }
}

fn is_staff(path: &str) -> bool {
    path.starts_with("/v1/admin/") || path == "/metrics"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn document_parameters_all_have_rules() {
        let document: Value = serde_json::from_str(&crate::server::document().expect("a document")).expect("JSON");
        for operation in operations(&document) {
            for parameter in &operation.parameters {
                let message = "a scalar of parameters is missing in `scalar`";
                assert!(parameter.has_rule(), "{} of {}: {message}", parameter.name(), operation.id);
            }
        }
    }
}
