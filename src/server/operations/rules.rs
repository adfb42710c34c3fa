//! The rules of an operation beyond its handler's signature.

use std::time::Duration;

use crate::http::BodyRules;

/// The kind of an operation's response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Kind {
    /// One object with its ETag, or its deletion: edits support `If-Match`.
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

/// A row of the table.
#[derive(Debug)]
pub(in crate::server) struct Rules {
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

pub(super) const fn public(id: &'static str) -> Rules {
    row(id, Access::Public)
}

pub(super) const fn customer(id: &'static str) -> Rules {
    row(id, Access::Authenticated)
}

pub(super) const fn password(id: &'static str) -> Rules {
    row(id, Access::WithPassword)
}

pub(super) const fn staff(id: &'static str) -> Rules {
    row(id, Access::Staff)
}

impl Rules {
    pub(super) const fn object(mut self) -> Self {
        self.kind = Kind::Object;
        self
    }

    pub(super) const fn page(mut self) -> Self {
        self.kind = Kind::Page;
        self
    }

    pub(super) const fn unset_at_first(mut self) -> Self {
        self.unset_at_first = true;
        self
    }

    pub(super) const fn describes_caller(mut self) -> Self {
        self.describes_caller = true;
        self
    }

    /// A file of any size, which a slow line may take long to carry.
    pub(super) const fn streamed(mut self) -> Self {
        self.response_deadline = Some(Duration::from_hours(1));
        self
    }
}
