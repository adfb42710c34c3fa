//! The API over HTTP, and the schema behind it, with a real PostgreSQL and a real Redis.

#![expect(clippy::disallowed_methods, reason = "transactions of tests are nobody's")]

mod app;
mod audit;
mod auth;
mod bill;
mod bill_cli;
mod bill_run;
mod bill_staff;
mod billing_address;
mod books;
mod browser;
mod catalog;
mod cli;
mod connections;
mod faults;
mod history;
mod idempotency;
mod jobs;
mod ldap;
mod ldap_faults;
mod metrics;
mod operate;
mod orders;
mod orders_change;
mod orders_network;
mod orders_service;
mod problems;
mod restart;
mod retention;
mod schedule;
mod schema;
mod schema_bill;
mod schema_billing;
mod servers;
mod service;
mod shop;
mod slapd;
mod throttle;
mod tls;
mod token;
mod vat_rates;
mod vpn_change;
mod vpn_network;
mod vpn_pool;
mod worker;
