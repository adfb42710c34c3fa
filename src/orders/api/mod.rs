//! Orders over HTTP.

mod admin;
mod body;
mod order;

pub use admin::AdminOrderApi;
pub use order::OrderApi;
