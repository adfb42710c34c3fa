//! Computes every order again and compares it with what is billed: that charges less credits are what the terms say, that
//! they reach as far as the cursor, and that an order which runs no longer read has nothing left to bill.

use futures_util::TryStreamExt as _;
use sqlx::PgPool;

use super::{db, money::Amount};
use crate::{error::Error, orders::Order};

/// An order that is not billed as it should be.
#[derive(Debug)]
pub struct Fault {
    /// Which.
    pub order_id: i64,
    /// What is, and what should be.
    pub detail: String,
}

/// All faults. Reads everything that was ever billed, so it is for now and then.
pub async fn verify(pool: &PgPool) -> Result<Vec<Fault>, Error> {
    let mut faults = Vec::new();
    let mut orders = db::billed_orders(pool);
    while let Some(row) = orders.try_next().await? {
        let net = row.net;
        let (due_at, covered_to) = (row.due_at, row.covered_to);
        let order = Order::try_from(row.order)?;
        let mut fault = |detail: String| faults.push(Fault { order_id: order.order_id, detail });
        let expected = match order.terms() {
            Some(terms) => terms.charge_until(order.charged_from(), order.zone).map_err(anyhow::Error::new)?,
            None => Amount::ZERO,
        };
        if net != expected {
            fault(format!("its charges less its credits are {net} and should be {expected}"));
        }
        if covered_to != order.billed.through {
            fault(format!("its records reach to {covered_to:?} and its cursor is {:?}", order.billed.through));
        }
        if due_at != order.due_at() {
            fault(format!("it is due at {due_at:?} and should be at {:?}", order.due_at()));
        }
    }
    Ok(faults)
}
