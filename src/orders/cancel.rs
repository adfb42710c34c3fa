//! The cancellation of an order.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    db,
    replace::{refuse_ended, void_pending_successor},
};
use crate::{code::Code, error::Error, money::Order, services::ServiceChange};

/// Ends an order at the first boundary after its commitment; an order that has not started becomes void. The service
/// ends when `service_change` says. Repeating the cancellation only changes that choice. With a pending downgrade
/// everything that it would have taken over ends as well.
pub async fn cancel(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    order_id: i64,
    user_id: i64,
    service_change: ServiceChange,
) -> Result<Order, Error> {
    let mut order = db::lock(tx, order_id, user_id).await?;
    let successor = void_pending_successor(tx, &order, now).await?;
    refuse_ended(&order, now)?;
    let end = match order.period {
        Some(period) => order.terms_with(period).cancelled_at(now, order.zone),
        None if now < order.starts_at => order.starts_at,
        None => {
            let detail = format!("order {order_id} is paid once; there is nothing to cancel");
            return Err(Error::Conflict { code: Code::OrderNotRecurring, detail, field: None });
        }
    };
    // An order that was cancelled before keeps its earlier end.
    let end = order.ends_at.map_or(end, |earlier| earlier.min(end));
    order.ends_at = Some(end);
    order.void = end == order.starts_at;
    let terminate_at = service_change.at(now, end);
    db::end(tx, &order, Some(terminate_at)).await?;
    // Either may define the present service: a downgrade that was provisioned early, or the order that it was to
    // replace.
    let others = [successor, order.replaces.filter(|_| order.void)];
    for other in others.into_iter().flatten() {
        db::set_terminate_at(tx, other, terminate_at).await?;
    }
    Ok(order)
}
