//! Reads workers for staff.

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, types::Json};
use uncloud_wire::stream::ActiveJob;

use super::SILENCE_SECS;

/// A worker as it last reported.
#[derive(Debug, Clone)]
pub struct WorkerLine {
    /// Identifies the worker, from its first report to its end.
    pub worker_id: i64,
    /// The queue that the worker serves.
    pub queue: String,
    /// The name it was started with.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// The number of jobs that it runs at the same time.
    pub concurrency: i32,
    /// The concurrency that staff requested.
    pub desired_concurrency: Option<i32>,
    /// The jobs that the worker holds.
    pub active: Json<Vec<ActiveJob>>,
    /// The kinds of jobs that the worker knows.
    pub kinds: Vec<String>,
    /// The time of its start, by its own clock.
    pub started_at: DateTime<Utc>,
    /// The number of jobs completed since its start.
    pub succeeded: i64,
    /// The number of failed attempts since its start.
    pub failed: i64,
    /// The number of jobs that other workers took over from it since its start.
    pub leases_lost: i64,
    /// The resident memory, in bytes.
    pub rss_bytes: i64,
    /// The time of its last report.
    pub last_seen_at: DateTime<Utc>,
    /// False if the worker has stopped, or has not reported for a while.
    pub alive: bool,
}

/// Returns the workers that reported within the last hour, by queue and name.
pub async fn workers(db: impl PgExecutor<'_>, queue: Option<&str>) -> sqlx::Result<Vec<WorkerLine>> {
    sqlx::query_as!(
        WorkerLine,
        r#"select worker_id, queue, name, version, concurrency, desired_concurrency,
                  active as "active: Json<Vec<ActiveJob>>", kinds, started_at, succeeded, failed, leases_lost, rss_bytes,
                  last_seen_at, (not stopped and last_seen_at > now() - make_interval(secs => $2)) as "alive!"
           from worker
           where last_seen_at > now() - interval '1 hour' and ($1::text is null or queue = $1)
           order by queue, name, worker_id"#,
        queue,
        SILENCE_SECS,
    )
    .fetch_all(db)
    .await
}
