//! Cancelling, with what is delivered.

use sqlx::{PgConnection, PgPool};

use super::{ServiceChange, cancel, db, service};
use crate::error::{Code, Error};

/// Cancels an order, of `own` if that is said, unless other orders need it.
pub async fn cancel_order(
    db: &PgPool,
    (order_id, own): (i64, Option<i64>),
    change: ServiceChange,
) -> Result<(), Error> {
    let mut tx = crate::origin::begin(db).await?;
    let (user_id, customer) = db::locked_owner(&mut tx, order_id, own).await?;
    cancel(&mut tx, customer.now, order_id, user_id, change).await?;
    refuse_needed(&mut tx, order_id).await?;
    service::follow(&mut tx, customer.now, order_id).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends at once what an order delivers, and its charges as soon as they can end. Also for an order that has ended, or that
/// is paid once.
pub(crate) async fn end_service(tx: &mut PgConnection, order_id: i64) -> Result<(), Error> {
    let (user_id, customer) = db::locked_owner(tx, order_id, None).await?;
    let order = db::find(tx, order_id, user_id).await?;
    let is_over = order.void || order.ends_at.is_some_and(|end| end <= customer.now);
    if order.period.is_some() && !is_over {
        cancel(tx, customer.now, order_id, user_id, ServiceChange::Now).await?;
        refuse_needed(tx, order_id).await?;
    } else {
        db::set_withdraw_at(tx, order_id, customer.now).await?;
    }
    service::follow(tx, customer.now, order_id).await
}

/// Nothing that runs on may be left without what it needs.
pub(super) async fn refuse_needed(tx: &mut PgConnection, order_id: i64) -> Result<(), Error> {
    let dependents = db::dependents(tx, order_id).await?;
    let Some(first) = dependents.first() else { return Ok(()) };
    let named: Vec<String> =
        dependents.iter().map(|order| format!("order {} ({})", order.order_id, order.description)).collect();
    let detail = format!(
        "{} needs the {} of order {order_id} for longer than it would be there; cancel that first",
        named.join(", "),
        first.required
    );
    Err(Error::Conflict { code: Code::OrderNeeded, detail, field: None })
}
