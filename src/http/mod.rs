//! HTTP types that all operations share. Each module's operations are in its `api`; the server combines them.

pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod problem;
pub(crate) mod representation;
pub(crate) mod scope;

mod client;
mod json;
mod named_sort;
mod page;
mod scalars;
mod sort;

pub use body::{Body, Items};
pub(crate) use body::{BodyDeadline, BodyRules, Input, Member, input, member, safe_name, unknown_members, wrong};
pub use caller::{AuthMethod, AuthenticatedUser, Password, Staff};
pub use client::{Proxy, TrustedProxies};
pub(crate) use client::{network_of, site_of};
pub use json::Json;
pub(crate) use json::JsonValue;
pub(crate) use named_sort::named_sort;
pub(crate) use page::in_order;
pub use page::{Cursor, NamedPageQuery, PageQuery, page_size};
pub use representation::{Representation, check_if_match};
pub use scalars::{
    Date, Flag, Id, Line, Lines, Moment, Number, ParameterName, PasswordText, ProductName, QueueText, TextPart,
    TimeZone, UsernameText,
};
pub(crate) use scalars::{Scalar, parse_text, scalar, string_schema, text, word_scalar};
pub use scope::{Scope, Scopes};
pub use sort::{Sort, newest_first};

/// Groups of operations in the document.
#[derive(poem_openapi::Tags)]
#[oai(rename_all = "kebab-case")]
pub enum Tags {
    /// Bills, their items and the runs that create them.
    Bills,
    /// VPN networks of customers.
    Vpn,
    /// Pools of prefixes; staff only.
    VpnPools,
    /// Products and their prices.
    Products,
    /// Addresses of the billed customers and of the seller; VAT.
    BillingAddresses,
    /// Orders of customers.
    Orders,
    /// User accounts; staff only.
    Users,
    /// Tokens with which programs sign in.
    Tokens,
    /// The log of changes; staff only.
    Audit,
    /// Jobs, queues, schedules and workers.
    Jobs,
    /// The service itself.
    Service,
}
