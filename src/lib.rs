//! The backend of a hosting provider. The library contains the provider's data and rules; the binary `uncloud` serves
//! and administers it, and `uncloud-worker` (package `uncloud-jobs`) applies it to the hosts.

pub mod accounts;
pub mod audit;
pub mod billing;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod code;
pub mod database;
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
pub mod text;
pub mod user;
pub mod vpn;
