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

/// The order whose place a new one takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Predecessor {
    /// The order that is replaced.
    pub order_id: i64,
    /// The end of its commitment, if the new order carries it on.
    pub commitment_ends_at: Option<DateTime<Utc>>,
}

/// Writes the order's row. `deliver_at` is the time from which the service is due.
pub(super) async fn insert(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    starts_at: DateTime<Utc>,
    deliver_at: DateTime<Utc>,
    predecessor: Option<Predecessor>,
    new: &NewOrder,
) -> Result<Order, Error> {
    let mut order = order(starts_at, predecessor, new);
    order.order_id = db::insert(tx, &order, new, now.trunc_subsecs(0), deliver_at.trunc_subsecs(0), None).await?;
    Ok(order)
}

fn order(starts_at: DateTime<Utc>, predecessor: Option<Predecessor>, new: &NewOrder) -> Order {
    Order {
        order_id: 0,
        user_id: new.user_id,
        currency: new.currency,
        one_time: new.one_time,
        recurring: new.recurring,
        period: new.period,
        billing_mode: new.billing_mode,
        commitment_periods: new.commitment_periods,
        carried_commitment_ends_at: predecessor.and_then(|old| old.commitment_ends_at),
        upgrade_credit: new.upgrade_credit,
        zone: new.zone,
        starts_at: starts_at.trunc_subsecs(0),
        ends_at: None,
        replaces: predecessor.map(|old| old.order_id),
        void: false,
        billed: Billed::default(),
    }
}
