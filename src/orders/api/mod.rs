//! The HTTP operations on orders.

mod admin;
mod body;
mod order;
mod parameters;
mod quote;

pub use admin::AdminOrderApi;
pub use order::OrderApi;
