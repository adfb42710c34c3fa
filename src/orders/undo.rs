//! The undoing of a cancellation, or of a downgrade that is pending.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::{
    db,
    replace::{changeable, refuse_ended, void_pending_successor},
};
use crate::{code::Code, error::Error, money::Order};

/// Undoes the pending change of an order, which must belong to `own` if that is given, unless it would lack what it
/// requires. Returns the order that goes on.
pub async fn undo_order(db: &PgPool, (order_id, own): (i64, Option<i64>)) -> Result<i64, Error> {
    let mut tx = crate::request_context::begin(db).await?;
    let (user_id, customer) = db::locked_owner(&mut tx, order_id, own).await?;
    let order = undo(&mut tx, customer.now, order_id, user_id).await?;
    let unmet = db::unmet(&mut tx, order.order_id).await?;
    if let Some(required) = unmet.first() {
        let detail =
            format!("order {} needs a running order that contains {required}; order that first", order.order_id);
        return Err(Error::Conflict { code: Code::MissingRequirement, detail, field: None });
    }
    tx.commit().await?;
    Ok(order.order_id)
}

/// Undoes a cancellation that has not taken effect, or the pending downgrade of an order, whichever of its two orders is
/// named. The order goes on as before: cancelled, if it was when the downgrade replaced it. A downgrade that the cancellation
/// superseded stays void.
pub async fn undo(tx: &mut PgConnection, now: DateTime<Utc>, order_id: i64, user_id: i64) -> Result<Order, Error> {
    let mut order = changeable(tx, now, order_id, user_id).await?;
    let superseded = void_pending_successor(tx, &order, now).await?;
    refuse_ended(&order, now)?;
    if order.ends_at.is_none() {
        return refuse(
            Code::NoChangePending,
            format!("order {} has neither been cancelled nor downgraded", order.order_id),
        );
    }
    for changed in [Some(order.order_id), superseded].into_iter().flatten() {
        let service = db::delivery(tx, changed).await?;
        if service.terminated_at.is_some() || (superseded == Some(changed) && service.delivered_at.is_some()) {
            let detail = format!("the service of order {} has changed already; replace the order", order.order_id);
            return refuse(Code::TooLate, detail);
        }
    }
    let cancelled_ends_at = db::take_cancellation(tx, order.order_id).await?;
    order.ends_at = cancelled_ends_at.filter(|_| superseded.is_some());
    if order.ends_at.is_some() {
        db::end(tx, &order, None).await?;
    } else {
        db::reopen(tx, &order).await?;
    }
    Ok(order)
}

fn refuse(code: Code, detail: String) -> Result<Order, Error> {
    Err(Error::Conflict { code, detail, field: None })
}
