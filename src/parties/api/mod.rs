//! Billing addresses and the seller over HTTP.

mod address;
mod seller;

pub use address::{AdminAddressApi, BillingAddressApi};
pub use seller::SellerApi;
