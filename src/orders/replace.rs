//! The replacement of an order by another: upgrades and downgrades.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    db,
    new_order::{NewOrder, Quantities},
    place::{self, Predecessor},
};
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
    /// The units of each component whose one-time price is charged: those that the old order does not have.
    pub new_quantities: Vec<i32>,
}

/// Replaces an order of the same customer and currency.
///
/// An upgrade takes effect now, and carries the commitment of the old order on; a downgrade takes effect at the end of
/// the commitment, and its service follows `service_change`. A downgrade that has not taken effect becomes void: to
/// replace it is to replace its predecessor again. An order that is replaced in the second in which it starts becomes
/// void, and the new order takes its place.
pub async fn replace(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    old_id: i64,
    new: &NewOrder,
    service_change: ServiceChange,
) -> Result<Replaced, Error> {
    let (mut old, cancelled_ends_at) = replaceable(tx, now, old_id, new.user_id).await?;
    let Some((old_period, new_period)) = old.period.zip(new.period) else {
        let detail = format!("order {old_id} or its replacement is paid once; only recurring orders can be replaced");
        return Err(Error::Conflict { code: Code::OrderNotRecurring, detail, field: None });
    };
    if old.currency != new.currency {
        let detail = format!("order {old_id} is in {}; its replacement must be too", old.currency);
        return Err(Error::conflict(Code::CurrencyMismatch, "currency", detail));
    }
    let terms = old.terms_with(old_period);
    let offer = (new.recurring, new_period);
    let ReplacementSchedule { replacement, starts_at, ends_at } =
        terms.replaced_by(offer, old.upgrade_credit, now, old.zone);
    let deliver_at = match replacement {
        Replacement::Upgrade => starts_at,
        Replacement::Downgrade => service_change.at(now, starts_at),
    };
    old.ends_at = Some(ends_at);
    old.void = ends_at == old.starts_at;
    db::end(tx, &old, None).await?;
    if let Some(ends_at) = cancelled_ends_at {
        db::keep_cancellation(tx, old.order_id, ends_at).await?;
    }
    let commitment_ends_at = Some(terms.commitment_ends_at(old.zone)).filter(|end| *end > starts_at);
    let order_id = old.replaces.filter(|_| old.void).unwrap_or(old.order_id);
    let predecessor = Some(Predecessor { order_id, commitment_ends_at });
    let new = new.clone().without_one_time_prices_of(&old, &had(tx, &old).await?)?;
    let new_quantities = new.parts.iter().map(|part| part.new_quantity).collect();
    let new = place::insert(tx, now, starts_at, deliver_at, predecessor, &new).await?;
    Ok(Replaced { old, new, replacement, new_quantities })
}

/// Returns what the customer has had, and was charged the one-time prices of: the units of the replaced order. Of a void one
/// only if it was billed; otherwise those of the order before it.
async fn had(tx: &mut PgConnection, old: &Order) -> Result<Quantities, Error> {
    let parts = db::parts(tx, old.order_id).await?;
    if !old.void || old.billed.one_time {
        return Ok(parts.into_iter().map(|(part, (quantity, _))| (part, quantity)).collect());
    }
    let mut had: Quantities = parts.into_iter().map(|(part, (quantity, new))| (part, quantity - new)).collect();
    if let Some(before) = old.replaces {
        for (part, (quantity, _)) in db::parts(tx, before).await? {
            let had = had.entry(part).or_default();
            *had = quantity.max(*had);
        }
    }
    Ok(had)
}

/// Returns the order that a change of a customer's order is about: the named one, or the one before it if that is still
/// running and the named one has yet to start.
pub(super) async fn changeable(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    order_id: i64,
    user_id: i64,
) -> Result<Order, Error> {
    let order = db::lock(tx, order_id, user_id).await?;
    match order.replaces.filter(|_| !order.void && order.starts_at > now) {
        Some(predecessor) => {
            let predecessor = db::find(tx, predecessor, user_id).await?;
            Ok(if predecessor.void { order } else { predecessor })
        }
        None => Ok(order),
    }
}

/// Returns the order that is to be replaced, and the end that a cancellation has set; or else why it can't be replaced: it has
/// ended, or another order has replaced it.
async fn replaceable(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    order_id: i64,
    user_id: i64,
) -> Result<(Order, Option<DateTime<Utc>>), Error> {
    let order = changeable(tx, now, order_id, user_id).await?;
    let superseded = void_pending_successor(tx, &order, now).await?;
    refuse_ended(&order, now)?;
    // The end that a downgrade has set is none that a customer wanted without it.
    let cancelled_ends_at = order.ends_at.filter(|_| superseded.is_none());
    Ok((order, cancelled_ends_at))
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

/// Voids a pending replacement in favour of a later change, and returns it; refuses if the replacement has started, or
/// is the one of a void order, in whose place it is.
pub(super) async fn void_pending_successor(
    tx: &mut PgConnection,
    order: &Order,
    now: DateTime<Utc>,
) -> Result<Option<i64>, Error> {
    let place = order.replaces.filter(|_| order.void).unwrap_or(order.order_id);
    let Some(mut successor) = db::successor(tx, place).await? else { return Ok(None) };
    if successor.starts_at <= now || order.void {
        let detail =
            format!("order {} is replaced by order {}; change that order instead", order.order_id, successor.order_id);
        return Err(Error::Conflict { code: Code::OrderReplaced, detail, field: None });
    }
    successor.void = true;
    successor.ends_at = Some(successor.starts_at);
    db::end(tx, &successor, None).await?;
    Ok(Some(successor.order_id))
}
