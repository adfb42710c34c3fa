//! The depths of queues, for programs that read them often.

use sqlx::PgExecutor;

use super::JobState;

/// The unfinished jobs of a queue in one state.
#[derive(Debug, Clone)]
pub struct Depth {
    /// The jobs' queue.
    pub queue: String,
    /// The jobs' state.
    pub state: JobState,
    /// The number of jobs.
    pub jobs: i64,
    /// The time that the job that is available longest has waited.
    pub oldest_available_seconds: Option<f64>,
}

/// Returns the depths by queue and state. Each part has its own partial index: finished jobs are not read.
pub async fn depths(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Depth>> {
    sqlx::query_as!(
        Depth,
        r#"with unfinished as (
               select queue, state, run_at <= now() as due, run_at from job where state = 'queued' and waits_for = 0
               union all
               select queue, state, false, run_at from job where state = 'queued' and waits_for > 0
               union all
               select queue, state, false, run_at from job where state in ('dispatched', 'running'))
           select queue as "queue!", state as "state!: JobState", count(*) as "jobs!",
                  extract(epoch from now() - min(run_at) filter (where due))::float8 as oldest_available_seconds
           from unfinished group by queue, state order by queue, state"#
    )
    .fetch_all(db)
    .await
}
