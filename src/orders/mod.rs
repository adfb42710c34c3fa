//! Orders: what customers intend to buy, at which price and until when.
//!
//! An order's terms never change. What wants to be different is a new order that replaces the old one; both ends and starts
//! are fixed then. What is billed of an order is in `billing::run`; here is what decides it.

mod cancel;
mod db;
mod order;
mod place;
mod replace;

pub use cancel::cancel;
pub use db::{OrderRow, find, lock_customer};
pub use order::{Billed, Order, ServiceChange};
pub use place::{NewOrder, Part, place};
pub use replace::{Replaced, replace};
