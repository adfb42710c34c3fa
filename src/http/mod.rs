//! HTTP: what all operations share. The nouns' own operations stand in their `api.rs`.

mod auth;
mod body;
mod client;
mod filter;
mod health;
mod index;
mod page;
mod problem;
mod scalars;
mod service;
mod spec;

pub use auth::{SignedIn, Staff};
pub use body::Body;
pub(crate) use body::{Input, input, member, unknown_members};
pub use client::{Proxy, TrustedProxies};
pub use filter::{Flag, QueueText, TextPart};
pub use health::HealthApi;
pub use page::{Cursor, Window, page, page_size};
pub use scalars::{HostnameText, Id, Number, PrefixText, PrivateKeyText, PublicKeyText};
pub(crate) use scalars::{Scalar, parse_text, scalar, string_schema};
pub use service::{App, document, service};

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
    /// Who may ask; staff only.
    Users,
    /// What workers do.
    Jobs,
    /// The service itself.
    Service,
}
