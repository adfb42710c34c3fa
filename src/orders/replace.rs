//! The replacement of an order by another: upgrades and downgrades.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{db, new_order::NewOrder, place};
use crate::{
    code::Code,
    error::Error,
    money::{
        Order,
        charge::{Replacement, ReplacementSchedule},
    },
    services::ServiceChange,
};

/// The two orders after a replacement.
#[derive(Debug, Clone)]
pub struct Replaced {
    /// The order that ends.
    pub old: Order,
    /// The order that starts where the charges of the old one end.
    pub new: Order,
    /// The kind of replacement: upgrade or downgrade.
    pub replacement: Replacement,
}

/// Replaces an order of the same customer and currency.
///
/// An upgrade takes effect now; a downgrade takes effect at the end of the commitment, and its service follows
/// `service_change`. A downgrade that has not taken effect becomes void.
pub async fn replace(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    old_id: i64,
    new: &NewOrder,
    service_change: ServiceChange,
) -> Result<Replaced, Error> {
    let mut old = db::lock(tx, old_id, new.user_id).await?;
    let Some((old_period, new_period)) = old.period.zip(new.period) else {
        let detail = format!("order {old_id} or its replacement is paid once; only recurring orders can be replaced");
        return Err(Error::Conflict { code: Code::OrderNotRecurring, detail, field: None });
    };
    if old.currency != new.currency {
        let detail = format!("order {old_id} is in {}; its replacement must be too", old.currency);
        return Err(Error::conflict(Code::CurrencyMismatch, "currency", detail));
    }
    refuse_pending_replacement(&old, now)?;
    void_pending_successor(tx, &old, now).await?;
    refuse_ended(&old, now)?;
    let offer = (new.recurring, new_period);
    let ReplacementSchedule { replacement, starts_at, ends_at } =
        old.terms_with(old_period).replaced_by(offer, old.upgrade_credit, now, old.zone);
    let deliver_at = match replacement {
        Replacement::Upgrade => starts_at,
        Replacement::Downgrade => service_change.at(now, starts_at),
    };
    old.ends_at = Some(ends_at);
    old.void = ends_at == old.starts_at;
    db::end(tx, &old, None).await?;
    let new = place::insert(tx, now, starts_at, deliver_at, Some(old_id), new).await?;
    Ok(Replaced { old, new, replacement })
}

/// Refuses to replace a replacement that has not started: the customer has to replace its predecessor again, or both
/// would follow that order.
fn refuse_pending_replacement(order: &Order, now: DateTime<Utc>) -> Result<(), Error> {
    match order.replaces {
        Some(predecessor) if !order.void && order.starts_at > now => {
            let order_id = order.order_id;
            let detail = format!(
                "order {order_id} takes effect only at {}; replace order {predecessor} again instead",
                order.starts_at.format("%Y-%m-%dT%H:%M:%SZ")
            );
            Err(Error::Conflict { code: Code::OrderPending, detail, field: None })
        }
        _ => Ok(()),
    }
}

pub(super) fn refuse_ended(order: &Order, now: DateTime<Utc>) -> Result<(), Error> {
    let ended = order.ends_at.filter(|end| order.void || *end <= now);
    match ended {
        Some(end) => {
            let how = if order.void { "is void" } else { "has ended" };
            let detail =
                format!("order {} {how} ({}); place a new one", order.order_id, end.format("%Y-%m-%dT%H:%M:%SZ"));
            Err(Error::Conflict { code: Code::OrderEnded, detail, field: None })
        }
        None => Ok(()),
    }
}

/// Voids a pending replacement in favour of a later change, and returns it; refuses if the replacement has started.
pub(super) async fn void_pending_successor(
    tx: &mut PgConnection,
    order: &Order,
    now: DateTime<Utc>,
) -> Result<Option<i64>, Error> {
    let Some(mut successor) = db::successor(tx, order.order_id).await? else { return Ok(None) };
    if successor.starts_at <= now {
        let detail =
            format!("order {} is replaced by order {}; change that order instead", order.order_id, successor.order_id);
        return Err(Error::Conflict { code: Code::OrderReplaced, detail, field: None });
    }
    successor.void = true;
    successor.ends_at = Some(successor.starts_at);
    db::end(tx, &successor, None).await?;
    Ok(Some(successor.order_id))
}
