//! Orders as they are shown.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, types::Json};

use super::db::{self, Filter};
use crate::{
    error::Error,
    http::Window,
    money::{
        amount::Amount,
        charge::{Timing, UpgradeCredit},
        period::{RecurringPeriod, Unit},
    },
    request_context,
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

/// The last second of a span that ends before `to`; none of an empty one.
pub fn last_second(from: DateTime<Utc>, to: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    to.filter(|to| *to > from).map(|to| to - TimeDelta::seconds(1))
}

/// Orders in a window, and one more than the window has if there are more.
pub async fn list(db: &PgPool, filter: &Filter, window: Window) -> Result<Vec<OrderView>, Error> {
    let mut search = request_context::begin_search(db).await?;
    let views = db::views(&mut *search, filter, window).await?;
    search.commit().await?;
    Ok(views)
}

/// One order; of `own`, if that is said.
pub async fn read(db: &PgPool, whose: (i64, Option<i64>)) -> Result<OrderView, Error> {
    let mut search = request_context::begin_search(db).await?;
    let view = read_in(&mut search, whose).await?;
    search.commit().await?;
    Ok(view)
}

/// The same in a transaction of the caller.
pub async fn read_in(tx: &mut PgConnection, (order_id, own): (i64, Option<i64>)) -> Result<OrderView, Error> {
    let filter = Filter { order_id: Some(order_id), user_id: own, ..Filter::default() };
    db::views(tx, &filter, Window::all()).await?.pop().ok_or_else(|| db::not_found(order_id))
}
