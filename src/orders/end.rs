//! Cancellations together with the service.

use sqlx::{PgConnection, PgPool};

use super::{cancel::cancel, db, needed::refuse_needed, service};
use crate::{
    error::Error,
    services::{ServiceChange, Services},
};

/// Cancels an order, which must belong to `own` if that is given, unless other orders depend on it.
pub async fn cancel_order(
    db: &PgPool,
    services: Services,
    (order_id, own): (i64, Option<i64>),
    change: ServiceChange,
) -> Result<(), Error> {
    let mut tx = crate::request_context::begin(db).await?;
    let (user_id, customer) = db::locked_owner(&mut tx, order_id, own).await?;
    cancel(&mut tx, customer.now, order_id, user_id, change).await?;
    refuse_needed(&mut tx, order_id).await?;
    service::follow(&mut tx, services, customer.now, order_id).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends an order at once, and its charges as soon as they can end. The service calls this when it removes what it
/// provisioned, also for an order that has ended or that is paid once. Returns false if the order's service had ended
/// before.
pub(crate) async fn end_of_service(tx: &mut PgConnection, order_id: i64) -> Result<bool, Error> {
    let (user_id, customer) = db::locked_owner(tx, order_id, None).await?;
    let order = db::find(tx, order_id, user_id).await?;
    let is_over = order.void || order.ends_at.is_some_and(|end| end <= customer.now);
    if order.period.is_some() && !is_over {
        cancel(tx, customer.now, order_id, user_id, ServiceChange::Now).await?;
        refuse_needed(tx, order_id).await?;
    } else {
        db::set_terminate_at(tx, order_id, customer.now).await?;
    }
    if db::delivery(tx, order_id).await?.terminated_at.is_some() {
        return Ok(false);
    }
    db::mark_terminated(tx, order_id, customer.now, None).await?;
    Ok(true)
}
