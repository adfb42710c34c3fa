//! The placement of an order.

use chrono::{DateTime, SubsecRound as _, Utc};
use sqlx::PgConnection;

use super::db;
use crate::{
    error::Error,
    money::{Billed, Order},
    orders::new_order::NewOrder,
};

/// Places an order that starts at `starts_at`. The caller checks whether the customer may place it.
pub async fn place(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    starts_at: DateTime<Utc>,
    new: &NewOrder,
) -> Result<Order, Error> {
    insert(tx, now, starts_at, starts_at, None, new).await
}

/// Places an order that is provisioned in the same transaction.
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

/// Writes the order's row. `deliver_at` is the time from which the service is due.
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
        billing_mode: new.billing_mode,
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
