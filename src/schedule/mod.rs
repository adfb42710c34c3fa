//! Schedules of recurring jobs. A schedule's tick is a job; every `uncloud serve` runs all of them, and the database
//! ensures that each tick occurs once.

mod api;
mod cron;
mod db;
mod definition;
mod name;
mod scheduled;
mod ticker;
mod timing;

pub use api::ScheduleApi;
pub use cron::CronText;
pub use definition::{Change, NewSchedule, Schedule, Terms};
pub use name::{ScheduleName, ScheduleNameError};
pub use scheduled::Scheduled;
pub use ticker::run;
pub use timing::{Timing, Zone};

use chrono::{DateTime, SubsecRound as _, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uncloud_wire::JobId;

use self::db::{Settings, Which};
use crate::{
    code::Code,
    error::{Error, OnConstraint as _},
    http::check_if_match,
    queue::{self, NewJob, enqueue, wake_relays},
};

/// Returns all schedules, by name.
pub async fn list(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Schedule>> {
    db::schedules(db, Which::All).await
}

/// Returns one schedule.
pub async fn find(db: impl PgExecutor<'_>, schedule_id: i64) -> Result<Schedule, Error> {
    db::schedules(db, Which::Id(schedule_id)).await?.pop().ok_or_else(|| not_found(schedule_id))
}

/// Returns the schedule of that name.
pub async fn named(db: impl PgExecutor<'_>, name: &ScheduleName) -> Result<Schedule, Error> {
    let found = db::schedules(db, Which::Name(name.as_str())).await?.pop();
    found.ok_or_else(|| Error::NotFound(format!("schedule {name} not found").into()))
}

fn not_found(schedule_id: i64) -> Error {
    Error::NotFound(format!("schedule {schedule_id} not found").into())
}

fn checked(kind: Scheduled, payload: &Value) -> Result<(), Error> {
    kind.check(payload).map_err(|wrong| Error::field("payload", wrong))
}

/// Returns the first due time that is later than now and than the last tick, even if the clock was put back.
async fn first_due(
    tx: &mut PgConnection,
    timing: &Timing,
    last_due: Option<DateTime<Utc>>,
) -> Result<DateTime<Utc>, Error> {
    let now = crate::clock::now(tx).await?.trunc_subsecs(0);
    let from = last_due.map_or(now, |last| last.max(now));
    Ok(timing.next(from, from).ok_or_else(|| anyhow::anyhow!("the schedule has no further due time"))?)
}

/// Creates a schedule; its first tick is the next due time.
pub async fn create(db: &PgPool, new: &NewSchedule) -> Result<Schedule, Error> {
    checked(new.kind, &new.payload)?;
    let mut tx = crate::request_context::begin(db).await?;
    let next = first_due(&mut tx, &new.timing, None).await?;
    let settings = Settings {
        payload: &new.payload,
        timing: &new.timing,
        terms: new.terms,
        next_run_at: (!new.paused).then_some(next),
    };
    let inserted = db::insert(&mut tx, &new.name, new.kind, &settings).await;
    let schedule_id = inserted.on_constraint("schedule_name_key", || {
        Error::conflict(
            Code::NameTaken,
            "name",
            format!("schedule {} already exists; change it, or choose another name", new.name),
        )
    })?;
    let schedule = find(&mut *tx, schedule_id).await?;
    tx.commit().await?;
    queue::announce_schedules(db).await?;
    Ok(schedule)
}

/// Changes a schedule. The next tick is computed again if its timing or its pause changes.
pub async fn change(db: &PgPool, schedule_id: i64, change: Change) -> Result<Schedule, Error> {
    let mut tx = crate::request_context::begin(db).await?;
    let old = db::lock(&mut tx, schedule_id).await?.ok_or_else(|| not_found(schedule_id))?;
    check_if_match(find(&mut *tx, schedule_id)).await?;
    let payload = change.payload.unwrap_or(old.payload);
    checked(known_kind(&old.kind)?, &payload)?;
    let retimed = change.timing.is_some();
    let timing = match change.timing {
        Some(timing) => timing,
        None => old.timing.map_err(|error| Error::field("cron", format!("is needed: {error}")))?,
    };
    let paused = change.paused.unwrap_or(old.paused_at.is_some());
    let next_run_at = match old.next_run_at {
        _ if paused => None,
        Some(next) if !retimed => Some(next),
        _ => Some(first_due(&mut tx, &timing, old.last_due_at).await?),
    };
    let settings = Settings { payload: &payload, timing: &timing, terms: change.terms.or(old.terms), next_run_at };
    db::update(&mut tx, schedule_id, &settings).await?;
    let schedule = find(&mut *tx, schedule_id).await?;
    tx.commit().await?;
    queue::announce_schedules(db).await?;
    Ok(schedule)
}

fn known_kind(kind: &str) -> Result<Scheduled, Error> {
    Scheduled::parse(kind).ok_or_else(|| Error::Conflict {
        code: Code::UnknownKind,
        detail: format!("this program does not know schedules of kind {kind}; update it"),
        field: None,
    })
}

/// Deletes a schedule. Its jobs stay.
pub async fn delete(db: &PgPool, schedule_id: i64) -> Result<(), Error> {
    let mut tx = crate::request_context::begin(db).await?;
    db::lock(&mut tx, schedule_id).await?.ok_or_else(|| not_found(schedule_id))?;
    check_if_match(find(&mut *tx, schedule_id)).await?;
    db::delete(&mut tx, schedule_id).await?;
    tx.commit().await?;
    Ok(())
}

/// Enqueues a schedule's job at once, also that of a paused schedule. The next tick stays as it is.
pub async fn run_now(db: &PgPool, schedule_id: i64) -> Result<JobId, Error> {
    let mut tx = crate::request_context::begin(db).await?;
    let schedule = db::lock(&mut tx, schedule_id).await?.ok_or_else(|| not_found(schedule_id))?;
    let job = enqueue_job(&mut tx, &schedule, known_kind(&schedule.kind)?).await?;
    tx.commit().await?;
    wake_relays(db).await?;
    Ok(job)
}

/// Enqueues a schedule's job. Its jobs run one at a time: while the last job runs, one may wait, which further ticks
/// join. A schedule never piles up work.
async fn enqueue_job(tx: &mut PgConnection, schedule: &Schedule, kind: Scheduled) -> sqlx::Result<JobId> {
    let queue = kind.queue();
    let key = format!("schedule:{}", schedule.name);
    let job = NewJob::of(kind.kind(), &queue, schedule.payload.clone());
    let policy = schedule.terms.over(job.policy);
    let job_id = enqueue(tx, &NewJob { unique_key: Some(&key), policy, ..job }).await?;
    db::note_job(tx, schedule.schedule_id, job_id).await?;
    Ok(job_id)
}
