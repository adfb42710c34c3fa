//! uncloud: a hosting provider's backend. The library is what the provider knows and promises; the
//! binary `uncloud` serves and administers it, `uncloud-worker` (package `uncloud-jobs`) realises it on hosts.

pub mod accounts;
pub mod audit;
pub mod billing;
pub mod catalog;
pub mod cli;
mod code;
pub mod embedded;
pub mod error;
pub mod http;
pub mod kinds;
pub mod logging;
pub mod metrics;
pub mod migrations;
pub mod orders;
pub mod origin;
pub mod queue;
pub mod schedule;
pub mod seal;
pub mod secret;
pub mod vpn;
