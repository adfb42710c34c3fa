//! The API over HTTP, and the schema behind it, with a real PostgreSQL and a real Redis.

mod app;
mod auth;
mod cli;
mod faults;
mod jobs;
mod ldap;
mod ldap_faults;
mod operate;
mod orders;
mod orders_change;
mod orders_network;
mod orders_service;
mod problems;
mod schema;
mod service;
mod shop;
mod slapd;
mod throttle;
mod vpn_change;
mod vpn_network;
mod vpn_pool;
mod worker;
