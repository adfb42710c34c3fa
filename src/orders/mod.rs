//! Orders: what customers intend to buy, at which price and until when.
//!
//! An order's terms never change. What wants to be different is a new order that replaces the old one; both ends and starts
//! are fixed then. What is billed of an order is in `billing::run`; here is what decides it.

mod api;
mod buy;
mod cancel;
mod db;
mod end;
mod needed;
mod new_order;
mod order_view;
mod place;
mod quote;
mod replace;
mod service;
mod view;

pub use api::{AdminOrderApi, OrderApi};
pub(crate) use buy::order_of_service;
pub use cancel::cancel;
pub use db::{OrderRow, due, find, lock_customer, move_cursors};
pub(crate) use end::end_of_service;
pub use new_order::{NewOrder, Part};
pub use place::place;
pub use replace::{Replaced, replace};
pub(crate) use service::parameter_changed;
pub use service::{carry_out, carry_out_due, render};
