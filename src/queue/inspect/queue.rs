//! Reads queues for staff.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use super::SILENCE_SECS;

/// A queue in a list.
#[derive(Debug, Clone)]
pub struct QueueLine {
    /// The queue's name.
    pub queue: String,
    /// The time since which no job is dispatched.
    pub paused_at: Option<DateTime<Utc>>,
    /// The number of jobs that may start in a period.
    pub rate_limit: Option<i32>,
    /// The period of the rate limit, in seconds.
    pub rate_period_seconds: i32,
    /// The number of waiting jobs, for any reason.
    pub queued: i64,
    /// The number of jobs that are available.
    pub available: i64,
    /// The number of dispatched and running jobs.
    pub in_flight: i64,
    /// The time that the job that is available longest has waited.
    pub oldest_available_seconds: Option<f64>,
    /// The number of live workers.
    pub workers: i64,
    /// The number of jobs that they can run at the same time.
    pub slots: i64,
}

/// Returns the queues with jobs, workers or settings; only the one of that name, if a name is given.
pub async fn queues(db: impl PgExecutor<'_>, name: Option<&str>) -> sqlx::Result<Vec<QueueLine>> {
    sqlx::query_as!(
        QueueLine,
        r#"with waiting as (
               select queue, count(*) as queued, count(*) filter (where waits_for = 0 and run_at <= now()) as available,
                      min(run_at) filter (where waits_for = 0 and run_at <= now()) as oldest
               from ( -- a partial index for each
                   select queue, waits_for, run_at from job where state = 'queued' and waits_for = 0
                   union all
                   select queue, waits_for, run_at from job where state = 'queued' and waits_for > 0) as queued
               where $1::text is null or queue = $1 group by queue),
           flight as (
               select queue, count(*) as in_flight from job
               where state in ('dispatched', 'running') and ($1::text is null or queue = $1) group by queue),
           live as (
               select queue, count(*) as workers, sum(concurrency)::bigint as slots from worker
               where not stopped and last_seen_at > now() - make_interval(secs => $2)
                   and ($1::text is null or queue = $1) group by queue),
           names as (
               select queue from waiting union select queue from flight union select queue from live
               union select queue from job_queue where $1::text is null or queue = $1)
           select names.queue as "queue!", paused_at as "paused_at?", rate_limit as "rate_limit?",
                  coalesce(rate_period_seconds, 1) as "rate_period_seconds!", coalesce(queued, 0) as "queued!",
                  coalesce(available, 0) as "available!", coalesce(in_flight, 0) as "in_flight!",
                  extract(epoch from now() - oldest)::float8 as oldest_available_seconds,
                  coalesce(workers, 0) as "workers!", coalesce(slots, 0) as "slots!"
           from names left join job_queue using (queue) left join waiting using (queue) left join flight using (queue)
               left join live using (queue)
           order by names.queue"#,
        name,
        SILENCE_SECS,
    )
    .fetch_all(db)
    .await
}
