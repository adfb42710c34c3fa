//! Billing addresses and the seller's details over HTTP.

mod address;
mod seller;

pub use address::{AdminAddressApi, BillingAddressApi};
pub use seller::SellerApi;
