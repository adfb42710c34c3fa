//! The operations: the table's row of each, joined with what its handler's signature says, and the lookup of a request's
//! operation.

mod rules;
mod table;

pub(super) use rules::{Access, Kind, Rules};

use std::collections::BTreeMap;

use anyhow::Context as _;
use matchit::Router;
use poem::http::Method;
use poem_openapi::{OpenApi, registry::Registry};

use super::middleware::parameters::Parameter;

/// An operation: its row and what its handler's signature says.
#[derive(Debug)]
pub(super) struct Operation {
    pub rules: &'static Rules,
    pub method: Method,
    pub path: String,
    pub summary: &'static str,
    pub takes_body: bool,
    pub parameters: Vec<Parameter>,
}

impl Operation {
    /// Returns whether it is an edit that supports `If-Match`.
    pub fn takes_if_match(&self) -> bool {
        self.rules.kind == Kind::Object && !self.method.is_safe()
    }

    /// Returns the parameters in a path, still encoded.
    pub fn in_path<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let parts = self.path.split('/').zip(path.split('/'));
        parts.filter_map(|(part, value)| Some((part.strip_prefix('{')?.strip_suffix('}')?, value)))
    }
}

/// All operations.
#[derive(Debug)]
pub(super) struct Operations {
    list: Vec<Operation>,
    /// Places in the list of a path's operations.
    paths: Router<Vec<usize>>,
}

impl Operations {
    /// Puts the operations of handlers together.
    pub fn of<A: OpenApi>() -> anyhow::Result<Self> {
        let mut registry = Registry::new();
        A::register(&mut registry);
        let (mut list, mut places) = (Vec::new(), BTreeMap::<String, Vec<usize>>::new());
        for item in A::meta().into_iter().flat_map(|api| api.paths) {
            for operation in item.operations {
                let id = operation.operation_id.unwrap_or_default();
                places.entry(item.path.clone()).or_default().push(list.len());
                list.push(Operation {
                    rules: rules(id).with_context(|| format!("operation {id:?} has no row in the table"))?,
                    method: operation.method,
                    path: item.path.clone(),
                    summary: operation.summary.unwrap_or_default(),
                    takes_body: operation.request.is_some(),
                    parameters: operation.params.iter().filter_map(|one| Parameter::of(&registry, one)).collect(),
                });
            }
        }
        let mut paths = Router::new();
        for (path, places) in places {
            paths.insert(path, places)?;
        }
        Ok(Self { list, paths })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Operation> {
        self.list.iter()
    }

    /// Returns the operations at a path; literal segments win over parameters.
    fn at(&self, path: &str) -> impl Iterator<Item = &Operation> {
        let places = self.paths.at(path).map_or(&[][..], |found| found.value.as_slice());
        places.iter().filter_map(|place| self.list.get(*place))
    }

    /// Returns the operation of a request; HEAD is treated as GET without the body.
    pub fn find(&self, method: &Method, path: &str) -> Option<&Operation> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.at(path).find(|operation| operation.method == *method)
    }

    /// Returns the methods that a path supports, for the header `Allow`.
    pub fn allowed_methods(&self, path: &str) -> String {
        let mut methods: Vec<&str> = self.at(path).map(|operation| operation.method.as_str()).collect();
        methods.sort_unstable();
        methods.dedup();
        methods.join(", ")
    }
}

/// Returns the row of an operation.
pub(super) fn rules(id: &str) -> Option<&'static Rules> {
    table::TABLE.iter().find(|row| row.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::server::specification::operations;

    #[test]
    fn table_has_one_row_for_each_operation() {
        let operations = operations().expect("a row for each");
        let ids: BTreeSet<&str> = operations.iter().map(|operation| operation.rules.id).collect();
        assert_eq!(ids, table::TABLE.iter().map(|row| row.id).collect());
        assert_eq!(operations.list.len(), table::TABLE.len(), "no id is used twice");
    }

    /// Paths of staff begin alike; so a proxy can guard them, and nobody else's operation is put there by mistake.
    #[test]
    fn operation_for_staff_is_exactly_below_admin() {
        for operation in operations().expect("operations").iter().filter(|one| one.rules.id != "metrics_read") {
            let Operation { rules, path, .. } = operation;
            assert_eq!(path.starts_with("/v1/admin/"), rules.access == Access::Staff, "{} {path}", rules.id);
            assert_eq!(rules.id.starts_with("admin_"), rules.access == Access::Staff, "{} {path}", rules.id);
        }
    }

    #[test]
    fn parameters_of_each_operation_fit_its_row_and_have_rules() {
        for operation in operations().expect("operations").iter() {
            let id = operation.rules.id;
            let has_cursor = operation.parameters.iter().any(|parameter| parameter.name() == "cursor");
            assert_eq!(has_cursor, operation.rules.kind == Kind::Page, "{id}");
            for parameter in &operation.parameters {
                let message = "a scalar of parameters is missing in `scalar`";
                assert!(parameter.has_rule(), "{} of {id}: {message}", parameter.name());
            }
        }
    }

    #[test]
    fn literal_segment_wins_over_parameter() {
        let operations = operations().expect("operations");
        let id = |path: &str| operations.find(&Method::GET, path).map(|operation| operation.rules.id);
        assert_eq!(id("/v1/bill/preview"), Some("bill_preview"));
        assert_eq!(id("/v1/bill/7"), Some("bill_read"));
        assert_eq!(id("/v1/bill/7/8"), None);
        assert_eq!(operations.allowed_methods("/v1/net/vpn/1"), "DELETE, GET, PATCH");
    }
}
