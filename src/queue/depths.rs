//! How many jobs are where, for machines that ask often.

use sqlx::PgExecutor;

use super::JobState;

/// Unfinished jobs of a queue in one state.
#[derive(Debug, Clone)]
pub struct Depth {
    /// Whose work they are.
    pub queue: String,
    /// Where they are in their lives.
    pub state: JobState,
    /// So many.
    pub jobs: i64,
    /// How long the one that is due longest has waited.
    pub oldest_available_seconds: Option<f64>,
}

/// By queue and state. Each part has a partial index of its own: finished jobs are not looked at.
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
