//! The service of an order, and the times at which it changes.
//!
//! Manual orders wait in the list of staff from the time at which they are due. Provisioned services change with the
//! order; a later change is a job that is due then.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use uncloud_wire::{JobError, JobId, Kind, QueueName, logging::one_line};

use super::{db, needed::refuse_needed, view};
use crate::{
    code::Code,
    error::Error,
    http::check_if_match,
    queue::{Claimed, NewJob, Prepared, enqueue, wake_relays},
    request_context,
    services::{Delivery, ServiceChange, Services},
    user::User,
};

/// Prepares payloads as stored: they contain no secrets.
pub fn prepare(jobs: &[&Claimed]) -> Vec<(JobId, Prepared)> {
    jobs.iter().map(|job| (job.job_id, Prepared::Payload(job.payload.to_string().into_bytes()))).collect()
}

/// Brings the provisioned service of an order to its desired state; repeated calls have no further effect. Returns the
/// time of the next change.
pub async fn carry_out(
    tx: &mut PgConnection,
    services: Services,
    now: DateTime<Utc>,
    order_id: i64,
) -> Result<Option<DateTime<Utc>>, Error> {
    let Some(user_id) = db::owner(tx, order_id, None).await? else { return Ok(None) };
    db::lock_customer(tx, user_id).await?;
    let delivery = db::delivery(tx, order_id).await?;
    let service = services(delivery.by).filter(|_| delivery.is_provisioned);
    let (Some(service), Some(terminate_at), None) = (service, delivery.terminate_at, delivery.terminated_at) else {
        return Ok(None);
    };
    if terminate_at > now {
        return Ok(Some(terminate_at));
    }
    service.deprovision(tx, user_id, order_id).await?;
    db::mark_terminated(tx, order_id, now, None).await?;
    Ok(None)
}

/// Runs [`carry_out`] for a job that was scheduled; the customer may have chosen a later time since.
pub async fn carry_out_due(db: &PgPool, services: Services, order_id: i64) -> Result<(), JobError> {
    match carry_out_by_clock(db, services, order_id).await {
        Ok(None) => Ok(()),
        Ok(Some((now, due))) => Err(JobError::Snooze {
            after: (due - now).to_std().unwrap_or_default(),
            reason: format!("the service of order {order_id} ends at {}", rfc3339(due)),
        }),
        Err(error) => Err(JobError::Retry(one_line(&error.into()))),
    }
}

async fn carry_out_by_clock(
    db: &PgPool,
    services: Services,
    order_id: i64,
) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, Error> {
    let mut tx = request_context::begin(db).await?;
    let (_, customer) = db::locked_owner(&mut tx, order_id, None).await?;
    let next = carry_out(&mut tx, services, customer.now, order_id).await?;
    tx.commit().await?;
    wake_relays(db).await?;
    Ok(next.map(|next| (customer.now, next)))
}

/// Runs [`carry_out`], and enqueues a job for a later change.
pub(super) async fn follow(
    tx: &mut PgConnection,
    services: Services,
    now: DateTime<Utc>,
    order_id: i64,
) -> Result<(), Error> {
    let Some(next) = carry_out(tx, services, now, order_id).await? else { return Ok(()) };
    let (queue, key) = (QueueName::billing(), format!("order_service:{order_id}"));
    let job = NewJob::of(Kind::OrderService, &queue, json!({ "order": order_id }));
    enqueue(tx, &NewJob { unique_key: Some(&key), run_at: Some(next), ..job }).await?;
    Ok(())
}

/// Records that a service has changed the value of a parameter that it reads itself.
pub(crate) async fn parameter_changed(
    tx: &mut PgConnection,
    order_id: i64,
    name: &str,
    value: &str,
) -> Result<(), Error> {
    Ok(db::set_parameter(tx, order_id, name, value).await?)
}

/// Changes the time at which a downgrade or a cancellation changes the service, until it has done so.
pub async fn choose(
    db: &PgPool,
    services: Services,
    (order_id, own): (i64, Option<i64>),
    change: ServiceChange,
) -> Result<(), Error> {
    let mut tx = request_context::begin(db).await?;
    let (user_id, customer) = db::locked_owner(&mut tx, order_id, own).await?;
    check_if_match(view::read(&mut *tx, (order_id, own))).await?;
    let order = db::find(&mut tx, order_id, user_id).await?;
    let service = db::delivery(&mut tx, order_id).await?;
    let nothing = |reason: String| {
        Err(Error::Conflict { code: Code::NoChangePending, detail: format!("order {order_id} {reason}"), field: None })
    };
    if let Some(successor) = service.replaced_by {
        return nothing(format!("is replaced by order {successor}; choose for that order instead"));
    }
    let (takes_effect, done) = match order.ends_at {
        _ if order.void => return nothing("is void".into()),
        Some(end) => (end, service.terminated_at),
        None if order.replaces.is_some() => (order.starts_at, service.delivered_at),
        None => (customer.now, None),
    };
    if let Some(done) = done {
        return nothing(format!("has no pending change: its service changed at {}", rfc3339(done)));
    }
    if takes_effect <= customer.now {
        return nothing("has no pending change; downgrade or cancel it first".into());
    }
    let at = change.at(customer.now, takes_effect);
    match order.ends_at {
        Some(_) => db::set_terminate_at(&mut tx, order_id, at).await?,
        None => db::set_deliver_at(&mut tx, order_id, at).await?,
    }
    refuse_needed(&mut tx, order_id).await?;
    follow(&mut tx, services, customer.now, order_id).await?;
    tx.commit().await?;
    Ok(())
}

/// Records that staff have provisioned an order. This ends the service of the orders before it in its line of
/// replacements.
pub async fn delivered(db: &PgPool, staff: &User, order_id: i64) -> Result<(), Error> {
    let mut tx = request_context::begin(db).await?;
    let (_, customer) = db::locked_owner(&mut tx, order_id, None).await?;
    let service = manual(&mut tx, order_id).await?;
    let refuse =
        |code, reason: String| Err(Error::Conflict { code, detail: format!("order {order_id} {reason}"), field: None });
    if service.delivered_at.is_some() {
        return Ok(()); // another member of staff was faster
    }
    if service.void {
        return refuse(Code::OrderEnded, "is void; there is nothing to provision".into());
    }
    if let Some(successor) = service.replaced_by.filter(|_| service.is_overtaken) {
        return refuse(Code::OrderReplaced, format!("is replaced by order {successor}; provision that order instead"));
    }
    if service.terminate_at.is_some_and(|terminate_at| terminate_at <= customer.now) {
        return refuse(Code::OrderEnded, "ended before it was provisioned; there is nothing to provision".into());
    }
    if service.deliver_at > customer.now {
        return refuse(Code::TooEarly, format!("must not be provisioned before {}", rfc3339(service.deliver_at)));
    }
    db::mark_delivered(&mut tx, order_id, customer.now, staff.user_id).await?;
    tx.commit().await?;
    Ok(())
}

/// Records that staff have terminated the service of an order, or of the orders before it in its line of replacements.
pub async fn terminated(db: &PgPool, staff: &User, order_id: i64) -> Result<(), Error> {
    let mut tx = request_context::begin(db).await?;
    let (_, customer) = db::locked_owner(&mut tx, order_id, None).await?;
    let service = manual(&mut tx, order_id).await?;
    let refuse =
        |code, reason: String| Err(Error::Conflict { code, detail: format!("order {order_id} {reason}"), field: None });
    if service.terminated_at.is_some() {
        return Ok(());
    }
    if let Some(successor) = service.replaced_by {
        return refuse(Code::OrderReplaced, format!("is replaced by order {successor}, which takes over its service"));
    }
    match service.terminate_at {
        None => refuse(Code::TooEarly, "has no end; cancel it first".into()),
        Some(at) if at > customer.now => {
            refuse(Code::TooEarly, format!("must not be terminated before {}", rfc3339(at)))
        }
        Some(_) => {
            db::mark_terminated(&mut tx, order_id, customer.now, Some(staff.user_id)).await?;
            tx.commit().await?;
            Ok(())
        }
    }
}

async fn manual(tx: &mut PgConnection, order_id: i64) -> Result<db::Delivery, Error> {
    let service = db::delivery(tx, order_id).await?;
    if service.by != Delivery::Manual {
        let detail = format!("order {order_id} is provisioned by the VPN hosts, not manually");
        return Err(Error::Conflict { code: Code::NotManual, detail, field: None });
    }
    Ok(service)
}

/// Refuses to replace the order of a network, whose prefix belongs to its order for good.
pub(super) async fn refuse_network(tx: &mut PgConnection, order_id: i64) -> Result<(), Error> {
    if db::delivery(tx, order_id).await?.by == Delivery::Manual { Ok(()) } else { Err(network_stays(order_id)) }
}

pub(super) fn network_stays(order_id: i64) -> Error {
    let detail =
        format!("a VPN network can neither replace nor be replaced: place a new order, and cancel order {order_id}");
    Error::Conflict { code: Code::NetworkNotReplaceable, detail, field: None }
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
