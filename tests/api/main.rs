//! The API over HTTP, and the schema behind it, with a real PostgreSQL and a real Redis.

mod app;
mod auth;
mod cli;
mod faults;
mod jobs;
mod problems;
mod schema;
mod service;
mod vpn_change;
mod vpn_network;
mod vpn_pool;
