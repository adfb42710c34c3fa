//! Workers.

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, types::Json};
use uncloud_wire::stream::ActiveJob;

use super::SILENCE_SECS;

/// A worker as it last reported.
#[derive(Debug, Clone)]
pub struct WorkerLine {
    /// Identifies it, from its first report to its end.
    pub worker_id: i64,
    /// Whose work it does.
    pub queue: String,
    /// The name it was started with.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// Jobs at the same time.
    pub concurrency: i32,
    /// What staff want instead.
    pub desired_concurrency: Option<i32>,
    /// The jobs that it holds.
    pub active: Json<Vec<ActiveJob>>,
    /// The kinds that it knows.
    pub kinds: Vec<String>,
    /// When it was started, by its clock.
    pub started_at: DateTime<Utc>,
    /// Jobs since then.
    pub succeeded: i64,
    /// Attempts since then.
    pub failed: i64,
    /// Jobs that others took over from it since then.
    pub leases_lost: i64,
    /// Memory.
    pub rss_bytes: i64,
    /// Its last report.
    pub last_seen_at: DateTime<Utc>,
    /// False when it has said goodbye, or nothing for a while.
    pub alive: bool,
}

/// Workers that are there, or were a moment ago; by queue and name.
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
