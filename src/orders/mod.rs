//! Orders: the products that customers buy, at which price and until when.
//!
//! An order's terms never change. A change is a new order that replaces the old one, and fixes the end of the old and
//! the start of the new order. Bill runs (`billing::run`) bill orders; this module decides what is billed.

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
mod undo;
mod view;

pub use api::{AdminOrderApi, OrderApi};
pub(crate) use buy::order_of_service;
pub use cancel::cancel;
pub use db::{DueOrder, OrderRow, due, find, lock_customer, move_cursors, read_all, successors};
pub(crate) use end::end_of_service;
pub use new_order::{NewOrder, PriceComponent};
pub use place::place;
pub use replace::{Replaced, replace};
pub(crate) use service::parameter_changed;
pub use service::{carry_out, carry_out_due, prepare};
pub use undo::undo;
