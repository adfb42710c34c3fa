//! The parties of bills: customers' addresses and the seller's details. Bills refer to these rows, so a change
//! inserts a new row and alters no bill.
//!
//! Separate from `billing`, because an address belongs to an account, with or without a bill.

mod address;
mod api;
mod db;
mod party;
pub mod rates;
mod seller;
mod taxation;
mod vat_preview;

pub use api::{AdminAddressApi, BillingAddressApi, SellerApi};
pub use seller::add_placeholder;
pub(crate) use seller::{billing_day, bills_at_order};
pub(crate) use taxation::{AddressHistory, address_histories, rate_table, vat_seller};
pub(crate) use vat_preview::preview_vat;
pub use vat_preview::{VatPreview, VatUnavailable};
