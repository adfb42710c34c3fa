//! The API over HTTP, and the schema behind it, with a real PostgreSQL and a real Redis.

mod app;
mod auth;
mod billing_address;
mod catalog;
mod cli;
mod faults;
mod jobs;
mod ldap;
mod ldap_faults;
mod operate;
mod problems;
mod schema;
mod schema_billing;
mod service;
mod slapd;
mod throttle;
mod vat_rates;
mod vpn_change;
mod vpn_network;
mod vpn_pool;
mod worker;
