//! Scopes of tokens.

use poem::http::Method;
use poem_openapi::{Enum, registry::MetaSchema, types::Type as _};
use serde_json::{Value, json};

use crate::{
    error::Error,
    http::{Scalar, scalar},
};

/// A scope: a part of the user's permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enum, sqlx::Type)]
#[oai(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Scope {
    /// Read: the method GET.
    Read,
    /// Change: all other methods.
    Write,
    /// Act as staff, as long as the user is staff. Without this scope the user is treated as a customer.
    Staff,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Staff];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Staff => "staff",
        }
    }
}

/// Scopes of a caller's credentials; a password has all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Creates the set from these scopes.
    pub const fn new(scopes: Vec<Scope>) -> Self {
        Self(scopes)
    }

    /// Returns whether the set contains this scope.
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Returns the names of the scopes.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|scope| scope.as_str()).collect()
    }

    /// Refuses a request that needs a scope that is not in the set.
    pub fn allow(&self, method: &Method, for_staff: bool) -> Result<(), Error> {
        let needed = if method == Method::GET { Scope::Read } else { Scope::Write };
        for (scope, needed) in [(needed, true), (Scope::Staff, for_staff)] {
            if needed && !self.has(scope) {
                return Err(Error::InsufficientScope(scope.as_str()));
            }
        }
        Ok(())
    }
}

impl Scalar for Scopes {
    fn component() -> String {
        "TokenScopes".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            items: Some(Box::new(Scope::schema_ref())),
            min_items: Some(1),
            max_items: Some(Scope::ALL.len()),
            unique_items: Some(true),
            example: Some(json!(["read"])),
            description: Some("Scopes of a token: read (GET), write (all other methods), staff (act as staff)."),
            ..MetaSchema::new("array")
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let named = |item: &Value| Scope::ALL.into_iter().find(|scope| item.as_str() == Some(scope.as_str()));
        let scopes = value.as_array().and_then(|items| items.iter().map(named).collect::<Option<Vec<_>>>());
        let wrong = "must be a list of one or more of read, write, staff, each once";
        let mut scopes = scopes.filter(|scopes| !scopes.is_empty()).ok_or(wrong)?;
        let given = scopes.len();
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.len() == given { Ok(Self(scopes)) } else { Err(wrong.to_owned()) }
    }
}
scalar!([] Scopes);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allow_without_needed_scope_is_refused() {
        let allowed = |scopes: &[Scope], method, staff| Scopes::new(scopes.to_vec()).allow(&method, staff).is_ok();
        assert!(allowed(&[Scope::Read], Method::GET, false));
        assert!(!allowed(&[Scope::Write], Method::GET, false));
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(!allowed(&[Scope::Read, Scope::Staff], method.clone(), false));
            assert!(allowed(&[Scope::Write], method.clone(), false));
            assert!(!allowed(&[Scope::Write], method.clone(), true));
            assert!(allowed(&[Scope::Write, Scope::Staff], method, true));
        }
    }
}
