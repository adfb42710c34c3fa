//! An order before it is placed.

use chrono_tz::Tz;
use serde_json::Value;

use crate::money::{
    amount::{Amount, Currency},
    charge::{Timing, UpgradeCredit},
    period::RecurringPeriod,
};

/// What is ordered, with the terms copied from the catalogue or agreed by hand.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// For whom.
    pub user_id: i64,
    /// Who ordered it; none: the program itself.
    pub ordered_by: Option<i64>,
    /// What; none: agreed by hand.
    pub product_id: Option<i64>,
    /// As bills call it.
    pub description: String,
    /// What the customer chose, by the product's names.
    pub parameters: Value,
    /// What the prices are in.
    pub currency: Currency,
    /// Due once.
    pub one_time: Amount,
    /// For each period.
    pub recurring: Amount,
    /// How often; none: paid once.
    pub period: Option<RecurringPeriod>,
    /// When a period is billed.
    pub timing: Timing,
    /// Periods that can't be cancelled.
    pub commitment_periods: u32,
    /// What an upgrade does with the time already paid.
    pub upgrade_credit: UpgradeCredit,
    /// Calendar periods are in this zone: the seller's.
    pub zone: Tz,
    /// What the price consists of; none for what is agreed by hand.
    pub parts: Vec<Part>,
}

/// A part of an order's price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Of which product.
    pub product_id: i64,
    /// Its parameter; none: the product itself.
    pub parameter: Option<String>,
    /// How many.
    pub quantity: i32,
    /// For one, once.
    pub one_time: Amount,
    /// For one and each period.
    pub recurring: Amount,
}
