//! An order before it is placed.

use chrono_tz::Tz;
use serde_json::Value;

use crate::money::{
    amount::{Amount, Currency},
    charge::{BillingMode, UpgradeCredit},
    period::RecurringPeriod,
};

/// An order to be placed, with terms that were copied from the catalogue or negotiated.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// The customer's id.
    pub user_id: i64,
    /// The id of the user who placed the order; none for the program itself.
    pub ordered_by: Option<i64>,
    /// The product's id; none for negotiated terms.
    pub product_id: Option<i64>,
    /// The description that bills show.
    pub description: String,
    /// The values that the customer chose, by the names of the product's parameters.
    pub parameters: Value,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The one-time price.
    pub one_time: Amount,
    /// The price of each period.
    pub recurring: Amount,
    /// The recurring period; none for a one-time purchase.
    pub period: Option<RecurringPeriod>,
    /// The time at which a period is billed.
    pub billing_mode: BillingMode,
    /// The number of periods that can't be cancelled.
    pub commitment_periods: u32,
    /// The treatment of time that is already paid when an upgrade interrupts it.
    pub upgrade_credit: UpgradeCredit,
    /// The time zone of calendar periods, which is the seller's.
    pub zone: Tz,
    /// The components of the price; empty for negotiated terms.
    pub parts: Vec<PriceComponent>,
}

/// A component of an order's price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceComponent {
    /// The product's id.
    pub product_id: i64,
    /// The product's parameter; none for the product itself.
    pub parameter: Option<String>,
    /// The quantity.
    pub quantity: i32,
    /// The one-time price of one unit.
    pub one_time: Amount,
    /// The price of one unit for each period.
    pub recurring: Amount,
}
