//! Reading jobs, and the state changes that more than one part makes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use tokio::{sync::broadcast::error::RecvError, time::Instant};

use super::{
    JobId, JobState,
    wake::{Finished, Wake},
};

/// A job as its askers see it. One that gave way to a newer twin shows what became of that twin.
#[derive(Debug, Clone)]
pub struct JobView {
    /// Identifies it.
    pub job_id: JobId,
    /// Where it is in its life, or the twin that it gave way to.
    pub state: JobState,
    /// The twin.
    pub superseded_by: Option<JobId>,
    /// See [`crate::kinds::Kind`].
    pub kind: String,
    /// Whose work it is.
    pub queue: String,
    /// Dispatches so far.
    pub attempt: i32,
    /// Who ran it last.
    pub worker: Option<String>,
    /// The last error.
    pub error: Option<String>,
    /// What the worker reported.
    pub result: Option<Value>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// Earliest time of the next attempt.
    pub run_at: DateTime<Utc>,
    /// When it was last sent to a worker.
    pub dispatched_at: Option<DateTime<Utc>>,
    /// When it reached its final state.
    pub finished_at: Option<DateTime<Utc>>,
}

/// One job; `requester` limits it to those that this user asked for.
pub async fn find(pool: &PgPool, job_id: JobId, requester: Option<i64>) -> sqlx::Result<Option<JobView>> {
    sqlx::query_as!(
        JobView,
        r#"select asked.job_id, now.state as "state: JobState", asked.superseded_by, now.kind, now.queue, now.attempt,
                  now.worker, now.error, now.result, asked.created_at, now.run_at, now.dispatched_at, now.finished_at
           from job asked join job now on now.job_id = coalesce(asked.superseded_by, asked.job_id)
           where asked.job_id = $1 and ($2::bigint is null or exists (
               select from job_requester where job_requester.job_id = asked.job_id and user_id = $2))"#,
        job_id,
        requester,
    )
    .fetch_optional(pool)
    .await
}

/// Like [`find`], but waits until the job is final or `wait` is over; then answers with what it is.
pub async fn wait_until_finished(
    pool: &PgPool,
    wake: &Wake,
    job_id: JobId,
    requester: Option<i64>,
    wait: Duration,
) -> sqlx::Result<Option<JobView>> {
    // Announcements may get lost between processes; looking again now and then bounds what that costs.
    const LOOK_AGAIN: Duration = Duration::from_secs(5);
    let deadline = Instant::now() + wait;
    let mut finished = wake.subscribe(); // before looking, so that nothing is missed in between
    loop {
        let job = find(pool, job_id, requester).await?;
        let Some(view) = &job else { return Ok(None) };
        if view.state.is_final() || Instant::now() >= deadline {
            return Ok(job);
        }
        let current = view.superseded_by.unwrap_or(job_id);
        let look_again = deadline.min(Instant::now() + LOOK_AGAIN);
        let announced = async {
            loop {
                match finished.recv().await {
                    Ok(Finished::Job(id)) if id == current || id == job_id => return,
                    Ok(Finished::Job(_)) => {}
                    Ok(Finished::Unknown) | Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        // Either way the loop looks again.
        let _ = tokio::time::timeout_at(look_again, announced).await;
    }
}

/// Puts a job back, unless a newer twin waits already: then it gives way. The caller has the row locked.
pub(super) async fn requeue(
    tx: &mut PgConnection,
    job_id: JobId,
    unique_key: Option<&str>,
    after: Duration,
    error: Option<&str>,
) -> sqlx::Result<JobState> {
    let twin = sqlx::query_scalar!("select job_id from job where unique_key = $1 and state = 'queued'", unique_key)
        .fetch_optional(&mut *tx)
        .await?;
    if let Some(twin) = twin {
        supersede(tx, job_id, twin).await?;
        return Ok(JobState::Superseded);
    }
    sqlx::query!(
        "update job set state = 'queued', run_at = now() + make_interval(secs => $2), error = coalesce($3, error)
         where job_id = $1",
        job_id,
        after.as_secs_f64(),
        error,
    )
    .execute(tx)
    .await?;
    Ok(JobState::Queued)
}

/// Lets `twin` do the work of `job_id` and of all that gave way to it, for all who asked for them.
async fn supersede(tx: &mut PgConnection, job_id: JobId, twin: JobId) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into job_requester (job_id, user_id)
         select $2, user_id from job_requester where job_id = $1
         on conflict do nothing",
        job_id,
        twin
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("update job set superseded_by = $2 where superseded_by = $1", job_id, twin).execute(&mut *tx).await?;
    sqlx::query!(
        "update job set state = 'superseded', superseded_by = $2, finished_at = clock_timestamp() where job_id = $1",
        job_id,
        twin
    )
    .execute(tx)
    .await
    .map(drop)
}
