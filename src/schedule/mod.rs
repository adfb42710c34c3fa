//! Schedules: what is to be done again and again. A schedule's tick is a job; every `uncloud serve` looks after all of them, and
//! the database sees to it that each tick comes once.

mod api;
mod db;
mod name;
mod scheduled;
mod ticker;
mod timing;

pub use api::ScheduleApi;
pub use name::{ScheduleName, ScheduleNameError};
pub use scheduled::Scheduled;
pub use ticker::run;
pub use timing::{CronText, Timing, Zone};

use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, PgPool};

use self::db::{Settings, Which};
use crate::{
    code::Code,
    error::{Error, OnConstraint as _},
    http::unless_changed,
    queue::{self, JobState, NewJob, Policy, enqueue, wake_relays},
};
use uncloud_wire::JobId;

/// A schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Identifies it.
    pub schedule_id: i64,
    /// Its name.
    pub name: String,
    /// The kind of its jobs; a newer program may have made it up.
    pub kind: String,
    /// The payload of its jobs.
    pub payload: Value,
    /// When it is due, or why that can't be read.
    pub timing: Result<Timing, String>,
    /// The next tick; none while it is paused.
    pub next_run_at: Option<DateTime<Utc>>,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// When the last tick was due.
    pub last_due_at: Option<DateTime<Utc>>,
    /// When its last job was asked for, by a tick or by hand.
    pub last_run_at: Option<DateTime<Utc>>,
    /// That job, until it is forgotten.
    pub last_job: Option<(JobId, JobState)>,
    /// Where its jobs' terms differ from their kind's.
    pub terms: Terms,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl Schedule {
    /// Why it does not run, where its row can't be read by this program.
    pub fn error(&self) -> Option<String> {
        match (&self.timing, Scheduled::parse(&self.kind)) {
            (Err(trouble), _) => Some(trouble.clone()),
            (Ok(_), None) => Some(format!("this program does not know the kind {}; update it", self.kind)),
            (Ok(_), Some(_)) => None,
        }
    }

    /// The next due times.
    pub fn next_runs(&self, count: usize) -> Vec<DateTime<Utc>> {
        match (&self.timing, self.next_run_at) {
            (Ok(timing), Some(next)) => timing.following(next).take(count).collect(),
            _ => Vec::new(),
        }
    }
}

/// Terms of a schedule's jobs that differ from those of their kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// 0 to 9; 9 goes first.
    pub priority: Option<i16>,
    /// Failures after which a job is given up.
    pub max_failures: Option<i32>,
    /// A job is ended after this long.
    pub hard_limit_seconds: Option<i32>,
    /// How long a finished job is kept.
    pub keep_seconds: Option<i32>,
}

impl Terms {
    fn over(self, policy: Policy) -> Policy {
        let secs = |secs: Option<i32>| secs.and_then(|secs| secs.try_into().ok()).map(Duration::from_secs);
        Policy {
            priority: self.priority.unwrap_or(policy.priority),
            max_failures: self.max_failures.unwrap_or(policy.max_failures),
            hard_limit: secs(self.hard_limit_seconds).or(policy.hard_limit),
            keep: secs(self.keep_seconds).unwrap_or(policy.keep),
            ..policy
        }
    }

    /// These, and the older ones where these say nothing.
    fn or(self, older: Self) -> Self {
        Self {
            priority: self.priority.or(older.priority),
            max_failures: self.max_failures.or(older.max_failures),
            hard_limit_seconds: self.hard_limit_seconds.or(older.hard_limit_seconds),
            keep_seconds: self.keep_seconds.or(older.keep_seconds),
        }
    }
}

/// What staff want of a new schedule.
#[derive(Debug)]
pub struct NewSchedule {
    /// Its name.
    pub name: ScheduleName,
    /// What to do.
    pub kind: Scheduled,
    /// Whom it is about.
    pub payload: Value,
    /// When.
    pub timing: Timing,
    /// Not yet.
    pub paused: bool,
    /// The jobs' terms.
    pub terms: Terms,
}

/// What to change of a schedule; what is left out stays.
#[derive(Debug, Default)]
pub struct Change {
    /// Whom it is about.
    pub payload: Option<Value>,
    /// When.
    pub timing: Option<Timing>,
    /// Stops the ticks, or lets them go on; those in between are not caught up.
    pub paused: Option<bool>,
    /// The jobs' terms.
    pub terms: Terms,
}

/// All schedules, by name.
pub async fn list(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Schedule>> {
    db::schedules(db, Which::All).await
}

/// One schedule.
pub async fn find(db: impl PgExecutor<'_>, schedule_id: i64) -> Result<Schedule, Error> {
    db::schedules(db, Which::Id(schedule_id)).await?.pop().ok_or_else(|| not_found(schedule_id))
}

/// One schedule, by name.
pub async fn named(db: impl PgExecutor<'_>, name: &ScheduleName) -> Result<Schedule, Error> {
    let found = db::schedules(db, Which::Name(name.as_str())).await?.pop();
    found.ok_or_else(|| Error::NotFound(format!("there is no schedule {name}").into()))
}

fn not_found(schedule_id: i64) -> Error {
    Error::NotFound(format!("there is no schedule {schedule_id}").into())
}

fn checked(kind: Scheduled, payload: &Value) -> Result<(), Error> {
    kind.check(payload).map_err(|wrong| Error::field("payload", wrong))
}

/// The first due time that is later than now and than the last tick, whatever the clock says meanwhile.
async fn first_due(
    tx: &mut PgConnection,
    timing: &Timing,
    last_due: Option<DateTime<Utc>>,
) -> Result<DateTime<Utc>, Error> {
    let now = crate::clock::now(tx).await?.trunc_subsecs(0);
    let from = last_due.map_or(now, |last| last.max(now));
    Ok(timing.next(from, from).ok_or_else(|| anyhow::anyhow!("the schedule never comes again"))?)
}

/// Makes a schedule; its first tick is the next due time.
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
            format!("there is a schedule {} already; edit it, or choose another name", new.name),
        )
    })?;
    let schedule = find(&mut *tx, schedule_id).await?;
    tx.commit().await?;
    queue::announce_schedules(db).await?;
    Ok(schedule)
}

/// Changes a schedule. The next tick is thought out anew where its time or its pause changes.
pub async fn change(db: &PgPool, schedule_id: i64, change: Change) -> Result<Schedule, Error> {
    let mut tx = crate::request_context::begin(db).await?;
    let old = db::lock(&mut tx, schedule_id).await?.ok_or_else(|| not_found(schedule_id))?;
    unless_changed(find(&mut *tx, schedule_id)).await?;
    let payload = change.payload.unwrap_or(old.payload);
    checked(known_kind(&old.kind)?, &payload)?;
    let retimed = change.timing.is_some();
    let timing = match change.timing {
        Some(timing) => timing,
        None => old.timing.map_err(|trouble| Error::field("cron", format!("is needed: {trouble}")))?,
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

/// Ends a schedule. Its jobs stay.
pub async fn delete(db: &PgPool, schedule_id: i64) -> Result<(), Error> {
    let mut tx = crate::request_context::begin(db).await?;
    db::lock(&mut tx, schedule_id).await?.ok_or_else(|| not_found(schedule_id))?;
    unless_changed(find(&mut *tx, schedule_id)).await?;
    db::delete(&mut tx, schedule_id).await?;
    tx.commit().await?;
    Ok(())
}

/// Asks for a schedule's job at once, also of a paused one. The next tick stays as it is.
pub async fn run_now(db: &PgPool, schedule_id: i64) -> Result<JobId, Error> {
    let mut tx = crate::request_context::begin(db).await?;
    let schedule = db::lock(&mut tx, schedule_id).await?.ok_or_else(|| not_found(schedule_id))?;
    let job = ask(&mut tx, &schedule, known_kind(&schedule.kind)?).await?;
    tx.commit().await?;
    wake_relays(db).await?;
    Ok(job)
}

/// One at a time: while the last job runs, one may wait, which further ticks join. A schedule never piles up work.
async fn ask(tx: &mut PgConnection, schedule: &Schedule, kind: Scheduled) -> sqlx::Result<JobId> {
    let queue = kind.queue();
    let key = format!("schedule:{}", schedule.name);
    let job = NewJob::of(kind.kind(), &queue, schedule.payload.clone());
    let policy = schedule.terms.over(job.policy);
    let job_id = enqueue(tx, &NewJob { unique_key: Some(&key), policy, ..job }).await?;
    db::note_job(tx, schedule.schedule_id, job_id).await?;
    Ok(job_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_the_kinds_where_a_schedule_says_nothing() {
        let terms = Terms { priority: Some(9), keep_seconds: Some(60), ..Terms::default() };
        let policy = terms.over(Policy::DEFAULT);
        let expected = Policy { priority: 9, keep: Duration::from_mins(1), ..Policy::DEFAULT };
        assert_eq!(policy, expected);
        assert_eq!(Terms::default().over(Policy::DEFAULT), Policy::DEFAULT);
    }
}
