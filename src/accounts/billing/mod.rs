//! Who is billed, and who bills. Bills point to these rows, so a change is a new row and alters no bill.
//!
//! Here and not in `billing`: an address belongs to an account, with or without a bill.

mod address;
mod api;
mod db;
mod seller;

pub use api::{AdminAddressApi, BillingAddressApi, SellerApi};
pub use seller::add_placeholder;
