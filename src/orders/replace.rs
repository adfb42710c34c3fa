//! The replacement of an order by another: upgrades and downgrades.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    db,
    new_order::NewOrder,
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
    let mut old = replaceable(tx, now, old_id, new.user_id).await?;
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
    let commitment_ends_at = Some(terms.commitment_ends_at(old.zone)).filter(|end| *end > starts_at);
    let order_id = old.replaces.filter(|_| old.void).unwrap_or(old.order_id);
    let predecessor = Some(Predecessor { order_id, commitment_ends_at });
    // What a void order has, its customer has not had.
    let had = if old.void { old.replaces } else { Some(old.order_id) };
    let new = match had {
        Some(had) => &new.clone().without_one_time_prices_of(&db::parts(tx, had).await?)?,
        None => new,
    };
    let new = place::insert(tx, now, starts_at, deliver_at, predecessor, new).await?;
    Ok(Replaced { old, new, replacement })
}

/// Returns the order that is to be replaced, or else why it can't be: it has ended, or another order has replaced it.
/// For a replacement that has not started, that is the order before it.
async fn replaceable(tx: &mut PgConnection, now: DateTime<Utc>, order_id: i64, user_id: i64) -> Result<Order, Error> {
    let mut order = db::lock(tx, order_id, user_id).await?;
    if let Some(predecessor) = order.replaces.filter(|_| !order.void && order.starts_at > now) {
        order = db::find(tx, predecessor, user_id).await?;
    }
    void_pending_successor(tx, &order, now).await?;
    refuse_ended(&order, now)?;
    Ok(order)
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
