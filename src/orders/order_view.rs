//! An order as it is shown.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::types::Json;

use crate::{
    money::{
        charge::{BillingMode, UpgradeCredit},
        period::{RecurringPeriod, Unit},
        unit_price::UnitPrice,
    },
    services::Delivery,
};

/// The phase of an order's life cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, poem_openapi::Enum)]
#[oai(rename = "OrderStatus", rename_all = "snake_case")]
pub enum Status {
    /// The order has not started.
    Pending,
    /// The order runs without a set end.
    Active,
    /// The order runs until a set end.
    Ending,
    /// The order has ended; nothing is charged any more.
    Ended,
    /// The order was cancelled or superseded before its start.
    Void,
}

/// The action that staff have to take for an order now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, poem_openapi::Enum)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "OrderPendingAction", rename_all = "snake_case")]
pub enum PendingAction {
    /// Provision the order.
    Deliver,
    /// Terminate the order's service.
    Terminate,
}

/// An order with all its details; the schema explains the columns.
#[derive(Debug, Clone)]
pub struct OrderView {
    pub order_id: i64,
    pub username: String,
    pub product: Option<String>,
    pub delivery: Delivery,
    pub description: String,
    pub parameters: Value,
    pub currency: String,
    pub one_time: UnitPrice,
    pub recurring: UnitPrice,
    pub period_unit: Option<Unit>,
    pub period_count: Option<i32>,
    pub billing_mode: BillingMode,
    pub commitment_periods: i32,
    pub carried_commitment_ends_at: Option<DateTime<Utc>>,
    pub upgrade_credit: UpgradeCredit,
    pub starts_at: DateTime<Utc>,
    pub ordered_at: DateTime<Utc>,
    pub ordered_by: Option<String>,
    pub replaces: Option<i64>,
    pub replaced_by: Option<i64>,
    pub billing_ends_at: Option<DateTime<Utc>>,
    pub void: bool,
    pub billed_through: Option<DateTime<Utc>>,
    pub closed: bool,
    pub deliver_at: DateTime<Utc>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub terminate_at: Option<DateTime<Utc>>,
    pub terminated_at: Option<DateTime<Utc>>,
    pub network_id: Option<i64>,
    /// The order in its line of replacements whose configuration is in service now.
    pub delivered_order: Option<i64>,
    pub delivered_parameters: Option<Value>,
    pub pending_action: Option<PendingAction>,
    /// The time of the query.
    pub now: DateTime<Utc>,
    pub parts: Json<Vec<PartView>>,
}

/// A component of an order's price.
#[derive(Debug, Clone, Deserialize)]
pub struct PartView {
    pub product: String,
    pub parameter: Option<String>,
    pub quantity: i32,
    pub new_quantity: i32,
    pub one_time_micros: i64,
    pub recurring_micros: i64,
}

impl OrderView {
    /// Returns the phase of the order's life cycle, derived so that it can't become stale.
    pub fn status(&self) -> Status {
        match self.billing_ends_at {
            _ if self.void => Status::Void,
            Some(end) if end <= self.now => Status::Ended,
            _ if self.starts_at > self.now => Status::Pending,
            Some(_) => Status::Ending,
            None => Status::Active,
        }
    }

    /// Returns the recurring period; none for a one-time purchase.
    pub fn period(&self) -> anyhow::Result<Option<RecurringPeriod>> {
        let period = self.period_unit.zip(self.period_count);
        Ok(period.map(|(unit, count)| RecurringPeriod::new(unit, count)).transpose()?)
    }
}

/// A filter for orders; none matches all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The customer's id.
    pub user_id: Option<i64>,
    /// The customer's name.
    pub username: Option<String>,
    /// The product's name.
    pub product: Option<String>,
    /// True for orders with items still to be billed, false for closed orders.
    pub open: Option<bool>,
    /// Only orders that staff have to provision or terminate now.
    pub needs_action: bool,
}
