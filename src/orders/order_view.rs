//! An order as it is shown.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::types::Json;

use crate::{
    money::{
        amount::Amount,
        charge::{Timing, UpgradeCredit},
        period::{RecurringPeriod, Unit},
    },
    services::Delivery,
};

/// Where an order is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, poem_openapi::Enum)]
#[oai(rename = "OrderStatus", rename_all = "snake_case")]
pub enum Status {
    /// Has not started yet.
    Pending,
    /// Runs on.
    Active,
    /// Runs, and it is known until when.
    Ending,
    /// Nothing is charged any more.
    Ended,
    /// Never came to be.
    Void,
}

/// What staff have to do for an order now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, poem_openapi::Enum)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "OrderPendingAction", rename_all = "snake_case")]
pub enum PendingAction {
    /// Deliver what is ordered.
    Deliver,
    /// Terminate what was delivered.
    Terminate,
}

/// An order with everything about it; the columns are explained in the schema.
#[derive(Debug, Clone)]
pub struct OrderView {
    pub order_id: i64,
    pub username: String,
    pub product: Option<String>,
    pub delivery: Delivery,
    pub description: String,
    pub parameters: Value,
    pub currency: String,
    pub one_time: Amount,
    pub recurring: Amount,
    pub period_unit: Option<Unit>,
    pub period_count: Option<i32>,
    pub billing_mode: Timing,
    pub commitment_periods: i32,
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
    /// The order in its line of replacements whose configuration is there now.
    pub delivered_order: Option<i64>,
    pub delivered_parameters: Option<Value>,
    pub pending_action: Option<PendingAction>,
    /// When the order was looked at.
    pub now: DateTime<Utc>,
    pub parts: Json<Vec<PartView>>,
}

/// A part of an order's price.
#[derive(Debug, Clone, Deserialize)]
pub struct PartView {
    pub product: String,
    pub parameter: Option<String>,
    pub quantity: i32,
    pub one_time_cents: i64,
    pub recurring_cents: i64,
}

impl OrderView {
    /// Derived, so that it can't go stale.
    pub fn status(&self) -> Status {
        match self.billing_ends_at {
            _ if self.void => Status::Void,
            Some(end) if end <= self.now => Status::Ended,
            _ if self.starts_at > self.now => Status::Pending,
            Some(_) => Status::Ending,
            None => Status::Active,
        }
    }

    /// None: paid once.
    pub fn period(&self) -> anyhow::Result<Option<RecurringPeriod>> {
        let period = self.period_unit.zip(self.period_count);
        Ok(period.map(|(unit, count)| RecurringPeriod::new(unit, count)).transpose()?)
    }
}

/// Which orders are asked for; none: whichever.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// This one.
    pub order_id: Option<i64>,
    /// Of this user.
    pub user_id: Option<i64>,
    /// Of the user with this name.
    pub username: Option<String>,
    /// Of the product with this name.
    pub product: Option<String>,
    /// Whether something is still to be billed.
    pub open: Option<bool>,
    /// Those that staff have to deliver or terminate now.
    pub needs_action: bool,
}
