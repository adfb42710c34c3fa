//! Schedules in PostgreSQL.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use uncloud_wire::JobId;

use super::{
    definition::{Schedule, Terms},
    name::ScheduleName,
    scheduled::Scheduled,
    timing::Timing,
};
use crate::queue::JobState;

/// A row of the table `schedule`.
struct Row {
    schedule_id: i64,
    name: String,
    kind: String,
    payload: Value,
    cron: Option<String>,
    time_zone: Option<String>,
    every_seconds: Option<i32>,
    next_run_at: Option<DateTime<Utc>>,
    paused_at: Option<DateTime<Utc>>,
    last_due_at: Option<DateTime<Utc>>,
    last_run_at: Option<DateTime<Utc>>,
    last_job_id: Option<JobId>,
    last_job_state: Option<JobState>,
    priority: Option<i16>,
    max_failures: Option<i32>,
    hard_limit_seconds: Option<i32>,
    keep_seconds: Option<i32>,
    created_at: DateTime<Utc>,
}

impl Row {
    fn timing(&self) -> Result<Timing, String> {
        match (&self.cron, &self.time_zone, self.every_seconds) {
            (Some(cron), Some(zone), None) => {
                let cron = cron.parse().map_err(|error| format!("its cron expression {error}"))?;
                Ok(Timing::Cron(cron, zone.parse().map_err(|error| format!("its time zone {error}"))?))
            }
            (None, None, Some(secs)) => u32::try_from(secs).map(Timing::Every).map_err(|error| error.to_string()),
            _ => Err("it has neither a cron expression with a time zone nor an interval".to_owned()),
        }
    }

    fn schedule(self) -> Schedule {
        Schedule {
            timing: self.timing(),
            schedule_id: self.schedule_id,
            name: self.name,
            kind: self.kind,
            payload: self.payload,
            next_run_at: self.next_run_at,
            paused_at: self.paused_at,
            last_due_at: self.last_due_at,
            last_run_at: self.last_run_at,
            last_job: self.last_job_id.zip(self.last_job_state),
            terms: Terms {
                priority: self.priority,
                max_failures: self.max_failures,
                hard_limit_seconds: self.hard_limit_seconds,
                keep_seconds: self.keep_seconds,
            },
            created_at: self.created_at,
        }
    }
}

/// The schedules that a query selects.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    All,
    Id(i64),
    Name(&'a str),
}

/// Returns the selected schedules, by name.
pub(super) async fn schedules(db: impl PgExecutor<'_>, which: Which<'_>) -> sqlx::Result<Vec<Schedule>> {
    let (id, name) = match which {
        Which::All => (None, None),
        Which::Id(id) => (Some(id), None),
        Which::Name(name) => (None, Some(name)),
    };
    let rows = sqlx::query_as!(
        Row,
        r#"select schedule_id, name, schedule.kind, schedule.payload, cron, time_zone, every_seconds, next_run_at, paused_at,
                  last_due_at, last_run_at, last_job_id, job.state as "last_job_state?: JobState", schedule.priority,
                  schedule.max_failures, hard_limit_seconds, schedule.keep_seconds, schedule.created_at
           from schedule left join job on job_id = last_job_id
           where ($1::bigint is null or schedule_id = $1) and ($2::text is null or name = $2)
           order by name"#,
        id,
        name,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Row::schedule).collect())
}

/// Locks a schedule until the end of the transaction.
pub(super) async fn lock(tx: &mut PgConnection, schedule_id: i64) -> sqlx::Result<Option<Schedule>> {
    sqlx::query!("select from schedule where schedule_id = $1 for update", schedule_id).execute(&mut *tx).await?;
    Ok(schedules(tx, Which::Id(schedule_id)).await?.pop())
}

/// Locks the schedule that is due longest, of those that no other server has locked and whose kind this program knows.
pub(super) async fn lock_due(tx: &mut PgConnection) -> sqlx::Result<Option<Schedule>> {
    let due = sqlx::query_scalar!(
        "select schedule_id from schedule where next_run_at <= clock_timestamp() and kind = any($1)
         order by next_run_at, schedule_id limit 1 for update skip locked",
        &known_kinds(),
    )
    .fetch_optional(&mut *tx)
    .await?;
    match due {
        Some(schedule_id) => Ok(schedules(tx, Which::Id(schedule_id)).await?.pop()),
        None => Ok(None),
    }
}

/// Returns the seconds until the next schedule is due, negative if it is overdue.
pub(super) async fn secs_to_next(db: impl PgExecutor<'_>) -> sqlx::Result<Option<f64>> {
    sqlx::query_scalar!(
        "select extract(epoch from min(next_run_at) - clock_timestamp())::float8 from schedule where kind = any($1)",
        &known_kinds(),
    )
    .fetch_one(db)
    .await
}

fn known_kinds() -> Vec<String> {
    <Scheduled as clap::ValueEnum>::value_variants().iter().map(|known| known.kind().as_str().to_owned()).collect()
}

/// Returns the columns of a timing: cron, time zone, seconds.
fn columns(timing: &Timing) -> (Option<String>, Option<String>, Option<i32>) {
    match timing {
        Timing::Cron(cron, zone) => (Some(cron.to_string()), Some(zone.to_string()), None),
        Timing::Every(secs) => (None, None, Some(i32::try_from(*secs).unwrap_or(i32::MAX))),
    }
}

/// The settings of a schedule that can be changed.
pub(super) struct Settings<'a> {
    pub payload: &'a Value,
    pub timing: &'a Timing,
    pub terms: Terms,
    /// The next due time; none if the schedule is paused.
    pub next_run_at: Option<DateTime<Utc>>,
}

pub(super) async fn insert(
    tx: &mut PgConnection,
    name: &ScheduleName,
    kind: Scheduled,
    settings: &Settings<'_>,
) -> sqlx::Result<i64> {
    let (cron, time_zone, every_seconds) = columns(settings.timing);
    sqlx::query_scalar!(
        "insert into schedule (name, kind, payload, cron, time_zone, every_seconds, next_run_at, paused_at, priority,
             max_failures, hard_limit_seconds, keep_seconds)
         values ($1, $2, $3, $4, $5, $6, $7, case when $7::timestamptz is null then now() end, $8, $9, $10, $11)
         returning schedule_id",
        name.as_str(),
        kind.kind().as_str(),
        settings.payload,
        cron,
        time_zone,
        every_seconds,
        settings.next_run_at,
        settings.terms.priority,
        settings.terms.max_failures,
        settings.terms.hard_limit_seconds,
        settings.terms.keep_seconds,
    )
    .fetch_one(tx)
    .await
}

pub(super) async fn update(tx: &mut PgConnection, schedule_id: i64, settings: &Settings<'_>) -> sqlx::Result<()> {
    let (cron, time_zone, every_seconds) = columns(settings.timing);
    sqlx::query!(
        "update schedule set payload = $2, cron = $3, time_zone = $4, every_seconds = $5, next_run_at = $6,
             paused_at = case when $6::timestamptz is null then coalesce(paused_at, now()) end,
             priority = $7, max_failures = $8, hard_limit_seconds = $9, keep_seconds = $10
         where schedule_id = $1",
        schedule_id,
        settings.payload,
        cron,
        time_zone,
        every_seconds,
        settings.next_run_at,
        settings.terms.priority,
        settings.terms.max_failures,
        settings.terms.hard_limit_seconds,
        settings.terms.keep_seconds,
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Pauses a schedule whose row can't be read; it was changed manually.
pub(super) async fn pause(tx: &mut PgConnection, schedule_id: i64) -> sqlx::Result<()> {
    sqlx::query!("update schedule set next_run_at = null, paused_at = now() where schedule_id = $1", schedule_id)
        .execute(tx)
        .await
        .map(drop)
}

pub(super) async fn delete(tx: &mut PgConnection, schedule_id: i64) -> sqlx::Result<bool> {
    let deleted = sqlx::query!("delete from schedule where schedule_id = $1", schedule_id).execute(tx).await?;
    Ok(deleted.rows_affected() > 0)
}

/// Records a tick; returns false if this due time already had its job.
pub(super) async fn note_tick(
    tx: &mut PgConnection,
    schedule_id: i64,
    due: DateTime<Utc>,
    job: JobId,
) -> sqlx::Result<bool> {
    let noted = sqlx::query!(
        "insert into schedule_tick (schedule_id, due_at, job_id) values ($1, $2, $3)
         on conflict on constraint schedule_tick_key do nothing",
        schedule_id,
        due,
        job,
    )
    .execute(tx)
    .await?;
    Ok(noted.rows_affected() > 0)
}

pub(super) async fn advance(
    tx: &mut PgConnection,
    schedule_id: i64,
    due: DateTime<Utc>,
    next: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update schedule set last_due_at = $2, next_run_at = $3 where schedule_id = $1",
        schedule_id,
        due,
        next
    )
    .execute(tx)
    .await
    .map(drop)
}

pub(super) async fn note_job(tx: &mut PgConnection, schedule_id: i64, job: JobId) -> sqlx::Result<()> {
    sqlx::query!(
        "update schedule set last_run_at = clock_timestamp(), last_job_id = $2 where schedule_id = $1",
        schedule_id,
        job
    )
    .execute(tx)
    .await
    .map(drop)
}
