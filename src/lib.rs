//! uncloud: a hosting provider's backend. The library is what the provider knows and promises; the
//! binary `uncloud` serves and administers it, `uncloud-worker` (package `uncloud-jobs`) realises it on hosts.

pub mod accounts;
pub mod audit;
pub mod billing;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod code;
pub mod dispatch;
pub mod embedded;
pub mod error;
pub mod http;
pub mod metrics;
pub mod migrations;
pub mod money;
pub mod orders;
pub mod parties;
pub mod queue;
pub mod request_context;
pub mod schedule;
pub mod seal;
pub mod server;
pub mod services;
pub mod user;
pub mod vpn;
