//! The API over HTTP, and the schema behind it, with a real PostgreSQL and a real Redis.

mod app;
mod auth;
mod cli;
mod faults;
mod history;
mod jobs;
mod ldap;
mod ldap_faults;
mod metrics;
mod operate;
mod problems;
mod retention;
mod schedule;
mod schema;
mod servers;
mod service;
mod slapd;
mod throttle;
mod vpn_change;
mod vpn_network;
mod vpn_pool;
mod worker;
