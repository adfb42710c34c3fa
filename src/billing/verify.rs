//! Verifies all bills: recomputes every order and compares it with its records. Charges less credits must equal what
//! the terms specify, they must reach as far as the cursor, and an order that runs no longer read must have nothing
//! left to bill. Also recomputes the totals of every bill.

use futures_util::TryStreamExt as _;
use sqlx::PgPool;

use super::db::{self, BilledOrder};
use crate::{
    error::Error,
    money::{Order, amount::Amount, unit_price::UnitPrice},
};

/// A discrepancy between what was billed and what should have been.
#[derive(Debug)]
pub struct Discrepancy {
    /// The order concerned.
    pub order_id: Option<i64>,
    /// The bill concerned.
    pub bill_id: Option<i64>,
    /// The present and the expected value.
    pub detail: String,
}

/// Returns all discrepancies. Reads everything ever billed, so it is meant for occasional use.
pub async fn verify(pool: &PgPool) -> Result<Vec<Discrepancy>, Error> {
    let mut faults = Vec::new();
    let mut orders = db::billed_orders(pool);
    while let Some(row) = orders.try_next().await? {
        let order_id = Some(row.order.order_id);
        faults.extend(of_order(row)?.into_iter().map(|detail| Discrepancy { order_id, bill_id: None, detail }));
    }
    for bill in db::unsound_bills(pool).await? {
        let detail = if bill.foreign {
            "it has records of another customer or currency"
        } else if bill.misprinted {
            "its lines are not those of its records"
        } else {
            "its totals are not those of its records"
        };
        faults.push(Discrepancy { order_id: None, bill_id: Some(bill.bill_id), detail: detail.to_owned() });
    }
    for (what, id) in db::wrongly_marked(pool).await? {
        let detail = format!("{what} {id} is marked as billed and on no bill, or the reverse");
        faults.push(Discrepancy { order_id: None, bill_id: None, detail });
    }
    for (year, missing) in db::missing_numbers(pool).await? {
        let detail = format!("{missing} bill numbers of {year} are missing");
        faults.push(Discrepancy { order_id: None, bill_id: None, detail });
    }
    Ok(faults)
}

fn of_order(row: BilledOrder) -> Result<Vec<String>, Error> {
    let BilledOrder { order, due_at, net, one_time, covered_to, has_cursor } = row;
    let order = Order::try_from(order)?;
    if !has_cursor {
        return Ok(vec!["it has no cursor".to_owned()]);
    }
    let mut faults = Vec::new();
    let charge_until = |t| match order.terms() {
        Some(terms) => terms.charge_until(t, order.zone).map_err(anyhow::Error::new),
        None => Ok(Amount::ZERO),
    };
    let expected = charge_until(order.charged_from())?;
    if net != expected {
        faults.push(format!("its charges less its credits are {net} and should be {expected}"));
    }
    let price = if order.billed.one_time { order.one_time } else { UnitPrice::ZERO };
    let expected = price.to_amount().map_err(anyhow::Error::new)?;
    if one_time != expected {
        faults.push(format!("its one-time charge is {one_time} and should be {expected}"));
    }
    // What comes to 0.00 needs no record.
    let covered = covered_to.unwrap_or(order.starts_at);
    if charge_until(covered)? != charge_until(order.charged_from())? {
        faults.push(format!("its records reach to {covered_to:?} and its cursor is {:?}", order.billed.through));
    }
    if due_at != order.due_at() {
        faults.push(format!("it is due at {due_at:?} and should be at {:?}", order.due_at()));
    }
    Ok(faults)
}
