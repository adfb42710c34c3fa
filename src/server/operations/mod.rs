//! The operations: the table's row of each, joined with what its handler's signature says, and the lookup of a request's
//! operation.

mod table;

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use anyhow::Context as _;
use matchit::Router;
use poem::http::Method;
use poem_openapi::{OpenApi as _, registry::Registry};

use super::{apis::Apis, middleware::parameters::Parameter};
use crate::http::BodyRules;

/// The kind of an operation's response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One object with its ETag, or its deletion: edits support `If-Match`.
    Object,
    /// One page of a list.
    Page,
    Other,
}

/// The callers that may use an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Public,
    Authenticated,
    /// Users who sign in with their password, not with a token.
    WithPassword,
    Staff,
}

/// A row of the table.
#[derive(Debug)]
pub(super) struct Rules {
    /// The operation's id in the document and in generated clients.
    pub id: &'static str,
    pub access: Access,
    pub kind: Kind,
    /// The rules of its body, if the handler takes one.
    pub body: BodyRules,
    /// Time limit for the client to read the response, or a part of one that is streamed; `None` for the server's usual.
    pub response_deadline: Option<Duration>,
    /// True if the one object that there is may not be set yet.
    pub unset_at_first: bool,
    /// True if a public operation's response depends on the caller.
    pub describes_caller: bool,
}

const fn row(id: &'static str, access: Access) -> Rules {
    Rules {
        id,
        access,
        kind: Kind::Other,
        body: BodyRules::JSON,
        response_deadline: None,
        unset_at_first: false,
        describes_caller: false,
    }
}

const fn public(id: &'static str) -> Rules {
    row(id, Access::Public)
}

const fn customer(id: &'static str) -> Rules {
    row(id, Access::Authenticated)
}

const fn password(id: &'static str) -> Rules {
    row(id, Access::WithPassword)
}

const fn staff(id: &'static str) -> Rules {
    row(id, Access::Staff)
}

impl Rules {
    /// Returns whether the row is of an edit that supports `If-Match`.
    pub fn takes_if_match(&self, is_edit: bool) -> bool {
        is_edit && self.kind == Kind::Object
    }

    const fn object(mut self) -> Self {
        self.kind = Kind::Object;
        self
    }

    const fn page(mut self) -> Self {
        self.kind = Kind::Page;
        self
    }

    const fn unset_at_first(mut self) -> Self {
        self.unset_at_first = true;
        self
    }

    const fn describes_caller(mut self) -> Self {
        self.describes_caller = true;
        self
    }

    /// A file of any size, which a slow line may take long to carry.
    const fn streamed(mut self) -> Self {
        self.response_deadline = Some(Duration::from_hours(1));
        self
    }
}

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
        self.rules.takes_if_match(!self.method.is_safe())
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
    /// Returns the operations, which depend on the code alone. They are put together at the first call.
    pub fn get() -> anyhow::Result<&'static Self> {
        static OPERATIONS: OnceLock<Operations> = OnceLock::new();
        if let Some(operations) = OPERATIONS.get() {
            return Ok(operations);
        }
        let operations = Self::joined()?;
        Ok(OPERATIONS.get_or_init(|| operations))
    }

    fn joined() -> anyhow::Result<Self> {
        let mut registry = Registry::new();
        Apis::register(&mut registry);
        let (mut list, mut places) = (Vec::new(), BTreeMap::<String, Vec<usize>>::new());
        for item in Apis::meta().into_iter().flat_map(|api| api.paths) {
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

    #[test]
    fn table_has_one_row_for_each_operation() {
        let operations = Operations::get().expect("a row for each");
        let ids: BTreeSet<&str> = operations.iter().map(|operation| operation.rules.id).collect();
        assert_eq!(ids, table::TABLE.iter().map(|row| row.id).collect());
        assert_eq!(operations.list.len(), table::TABLE.len(), "no id is used twice");
    }

    /// Paths of staff begin alike; so a proxy can guard them, and nobody else's operation is put there by mistake.
    #[test]
    fn operation_for_staff_is_exactly_below_admin() {
        for operation in Operations::get().expect("operations").iter().filter(|one| one.rules.id != "metrics_read") {
            let Operation { rules, path, .. } = operation;
            assert_eq!(path.starts_with("/v1/admin/"), rules.access == Access::Staff, "{} {path}", rules.id);
            assert_eq!(rules.id.starts_with("admin_"), rules.access == Access::Staff, "{} {path}", rules.id);
        }
    }

    #[test]
    fn parameters_of_each_operation_fit_its_row_and_have_rules() {
        for operation in Operations::get().expect("operations").iter() {
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
        let operations = Operations::get().expect("operations");
        let id = |path: &str| operations.find(&Method::GET, path).map(|operation| operation.rules.id);
        assert_eq!(id("/v1/bill/preview"), Some("bill_preview"));
        assert_eq!(id("/v1/bill/7"), Some("bill_read"));
        assert_eq!(id("/v1/bill/7/8"), None);
        assert_eq!(operations.allowed_methods("/v1/net/vpn/1"), "DELETE, GET, PATCH");
    }
}
