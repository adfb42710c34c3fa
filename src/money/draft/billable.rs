//! The items of a customer that a bill run reads.

use chrono::{DateTime, Utc};

use crate::money::{
    amount::{Amount, Currency, Rate},
    order::Order,
    vat::Treatment,
};

/// The items of a customer that are to be billed.
#[derive(Debug, Default)]
pub struct BillableItems {
    /// The open orders.
    pub orders: Vec<Order>,
    /// The earlier charges of those orders that end before the time up to which they are billed, by order and time.
    pub charged: Vec<Charged>,
    /// The items that staff added manually.
    pub manual: Vec<ManualItem>,
    /// The corrections of VAT rates that staff ordered.
    pub corrections: Vec<RateCorrection>,
}

/// A charge on an earlier bill, or the part of one that bears one rate after corrections.
#[derive(Debug, Clone, Copy)]
pub struct Charged {
    /// The order that was charged.
    pub order_id: i64,
    /// The first second of the span.
    pub from: DateTime<Utc>,
    /// The first second after the span.
    pub to: DateTime<Utc>,
    /// The bill that the charge is on.
    pub bill_id: i64,
    /// The VAT treatment of the charge.
    pub treatment: Treatment,
    /// The VAT rate of the charge.
    pub rate: Rate,
}

/// An item that staff added manually.
#[derive(Debug, Clone, Copy)]
pub struct ManualItem {
    /// Identifies the item.
    pub item_id: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// The amount before VAT; negative in the customer's favour.
    pub net: Amount,
    /// The time of supply, which determines the VAT rate.
    pub service_at: DateTime<Utc>,
    /// The billed item that it reverses, whose VAT it bears.
    pub reverses: Option<Reversed>,
}

/// The bill and the VAT of an item that is reversed.
#[derive(Debug, Clone, Copy)]
pub struct Reversed {
    /// The bill that the item is on.
    pub bill_id: i64,
    /// The VAT treatment of the item.
    pub treatment: Treatment,
    /// The VAT rate of the item, after corrections.
    pub rate: Rate,
}

/// A correction of the VAT rate at which something was billed: it is credited at the old and charged at the new rate.
#[derive(Debug, Clone, Copy)]
pub struct RateCorrection {
    /// Identifies the correction.
    pub correction_id: i64,
    /// The order that was charged; `None` for an item of staff.
    pub order_id: Option<i64>,
    /// The currency of the amount.
    pub currency: Currency,
    /// The first second of the span.
    pub from: DateTime<Utc>,
    /// The first second after the span.
    pub to: DateTime<Utc>,
    /// The amount before VAT, which stays the same.
    pub net: Amount,
    /// The VAT treatment, which stays the same.
    pub treatment: Treatment,
    /// The rate at which the span was billed.
    pub old_rate: Rate,
    /// The rate at which it should have been billed.
    pub new_rate: Rate,
    /// The bill that is corrected.
    pub bill_id: i64,
}
