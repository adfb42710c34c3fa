//! Arithmetic of money: the charges of an order over time, its VAT, and the records of bills. Reads no clock,
//! database or network.

pub mod amount;
pub mod charge;
pub mod country;
pub mod draft;
pub mod iban;
pub mod language;
pub mod order;
pub mod period;
pub mod territory;
pub mod unit_price;
pub mod vat;
pub mod vat_number;
pub mod vat_rates;

#[cfg(test)]
mod properties;
mod vat_number_check;
pub mod vat_text;

pub use order::{Billed, Order};
