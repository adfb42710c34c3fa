//! HTTP: the words that all operations share. The nouns' own operations stand in their `api`; the server puts them together.

pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod problem;
pub(crate) mod representation;
pub(crate) mod scope;

mod client;
mod named_sort;
mod page;
mod scalars;
mod sort;

pub use body::{Body, Items};
pub(crate) use body::{Input, Member, input, member, shown, unknown_members, wrong};
pub use caller::{By, Password, SignedIn, Staff};
pub use client::{Proxy, TrustedProxies};
pub(crate) use named_sort::named_sort;
pub(crate) use page::in_order;
pub use page::{Cursor, NamedWindow, Window, page_size};
pub use representation::{Shown, unless_changed};
pub use scalars::{
    Flag, Id, Line, Lines, Moment, Number, ParameterName, Price, ProductName, QueueText, TextPart, TimeZone,
    UsernameText,
};
pub(crate) use scalars::{Scalar, parse_text, scalar, string_schema, text, word_scalar};
pub use scope::{Scope, Scopes};
pub use sort::{Sort, newest_first};

/// Groups of operations in the document.
#[derive(poem_openapi::Tags)]
#[oai(rename_all = "kebab-case")]
pub enum Tags {
    /// What is to be paid, and how it comes about.
    Bills,
    /// Networks of customers.
    Vpn,
    /// Pools of prefixes; staff only.
    VpnPools,
    /// What can be bought, and for how much.
    Products,
    /// Who is billed, and who bills; VAT.
    BillingAddresses,
    /// What customers buy.
    Orders,
    /// Who may ask; staff only.
    Users,
    /// How programs sign in.
    Tokens,
    /// Who changed what; staff only.
    Audit,
    /// What workers do.
    Jobs,
    /// The service itself.
    Service,
}
