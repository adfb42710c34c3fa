//! Placing an order.

use chrono::{DateTime, SubsecRound as _, Utc};
use chrono_tz::Tz;
use serde_json::Value;
use sqlx::PgConnection;

use super::db;
use crate::{
    error::Error,
    money::{
        Billed, Order,
        amount::{Amount, Currency},
        charge::{Timing, UpgradeCredit},
        period::RecurringPeriod,
    },
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

/// Places an order that starts at `starts_at`. Whether the customer may, is for the caller to say.
pub async fn place(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    starts_at: DateTime<Utc>,
    new: &NewOrder,
) -> Result<Order, Error> {
    insert(tx, now, starts_at, starts_at, None, new).await
}

/// Places an order that is delivered in the same transaction.
pub(super) async fn place_delivered(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    starts_at: DateTime<Utc>,
    new: &NewOrder,
) -> Result<Order, Error> {
    let mut order = order(starts_at, None, new);
    order.order_id = db::insert(tx, &order, new, now.trunc_subsecs(0), order.starts_at, Some(now)).await?;
    Ok(order)
}

/// Writes the row. `deliver_at`: when what is delivered is to become what is ordered.
pub(super) async fn insert(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    starts_at: DateTime<Utc>,
    deliver_at: DateTime<Utc>,
    replaces: Option<i64>,
    new: &NewOrder,
) -> Result<Order, Error> {
    let mut order = order(starts_at, replaces, new);
    order.order_id = db::insert(tx, &order, new, now.trunc_subsecs(0), deliver_at.trunc_subsecs(0), None).await?;
    Ok(order)
}

fn order(starts_at: DateTime<Utc>, replaces: Option<i64>, new: &NewOrder) -> Order {
    Order {
        order_id: 0,
        user_id: new.user_id,
        currency: new.currency,
        one_time: new.one_time,
        recurring: new.recurring,
        period: new.period,
        timing: new.timing,
        commitment_periods: new.commitment_periods,
        upgrade_credit: new.upgrade_credit,
        zone: new.zone,
        starts_at: starts_at.trunc_subsecs(0),
        ends_at: None,
        replaces,
        void: false,
        billed: Billed::default(),
    }
}
