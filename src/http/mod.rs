//! HTTP: what all operations share. The nouns' own operations stand in their `api.rs`.

mod apis;
mod asset;
mod auth;
mod bodies;
mod body;
mod browser;
mod call;
mod client;
mod codes;
mod conventions;
mod examples;
mod filter;
mod health;
mod housekeeping;
mod idempotency;
mod index;
mod json;
mod members;
mod moment;
mod money;
mod number;
mod operation;
mod page;
mod parameters;
mod precondition;
mod problem;
mod rates;
mod request;
mod scalars;
pub mod server;
mod service;
mod sort;
mod spec;
mod text;
mod username;
mod words;

pub use auth::{By, Password, SignedIn, Staff};
pub use body::{Body, Items};
pub(crate) use body::{Input, Member, input, member, shown, unknown_members, wrong};
pub use browser::Origin;
pub use client::{Proxy, TrustedProxies};
pub use filter::{Flag, QueueText, TextPart};
pub use health::HealthApi;
pub use housekeeping::keep_house;
pub use moment::Moment;
pub use money::{Price, TimeZone};
pub use number::{Id, Number};
pub(crate) use page::in_order;
pub use page::{Cursor, NamedWindow, Window, page_size};
pub use precondition::{Shown, unless_changed};
pub use rates::RateLimits;
pub(crate) use scalars::{Scalar, parse_text, scalar, string_schema, text};
pub use service::{App, document, service};
pub(crate) use sort::named_sort;
pub use sort::{Sort, newest_first};
pub use text::{Line, Lines, ParameterName, ProductName};
pub use username::UsernameText;

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
