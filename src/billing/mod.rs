//! Money: what an order costs over time, and its VAT. Nothing here reads a clock, a database or the network.

pub mod charge;
pub mod country;
pub mod money;
pub mod period;
pub mod vat;
pub mod vat_number;
mod vat_number_check;
pub mod vat_rates;
