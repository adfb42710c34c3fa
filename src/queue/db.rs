//! Reads jobs, and changes their states where several modules do so.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use tokio::{sync::broadcast::error::RecvError, time::Instant};
use uncloud_wire::JobId;

use super::{
    job::JobState,
    notifier::{Finished, Notifier},
};

/// A job as its requesters see it. A superseded job shows the state of the newer duplicate.
#[derive(Debug, Clone)]
pub struct JobView {
    /// Identifies the job.
    pub job_id: JobId,
    /// The state of the job, or of the duplicate that superseded it.
    pub state: JobState,
    /// The newer duplicate that superseded this job.
    pub superseded_by: Option<JobId>,
    /// The kind of the job; see [`uncloud_wire::Kind`].
    pub kind: String,
    /// The job's queue.
    pub queue: String,
    /// The number of dispatches so far.
    pub attempt: i32,
    /// The worker that ran it last.
    pub worker: Option<String>,
    /// The last error.
    pub error: Option<String>,
    /// The result that the worker reported.
    pub result: Option<Value>,
    /// The time at which it was requested.
    pub created_at: DateTime<Utc>,
    /// The earliest time of the next attempt.
    pub run_at: DateTime<Utc>,
    /// The time of its last dispatch to a worker.
    pub dispatched_at: Option<DateTime<Utc>>,
    /// The time at which it reached its final state.
    pub finished_at: Option<DateTime<Utc>>,
    /// The progress that its handler reported.
    pub progress: Option<Value>,
}

/// Returns one job; `requester` limits the search to the jobs that this user requested.
pub async fn find(db: impl PgExecutor<'_>, job_id: JobId, requester: Option<i64>) -> sqlx::Result<Option<JobView>> {
    sqlx::query_as!(
        JobView,
        r#"select asked.job_id, now.state as "state: JobState", asked.superseded_by, now.kind, now.queue, now.attempt,
                  now.worker, now.error, now.result, asked.created_at, now.run_at, now.dispatched_at, now.finished_at,
                  now.progress
           from job asked join job now on now.job_id = coalesce(asked.superseded_by, asked.job_id)
           where asked.job_id = $1 and ($2::bigint is null or exists (
               select from job_requester where job_requester.job_id = asked.job_id and user_id = $2))"#,
        job_id,
        requester,
    )
    .fetch_optional(db)
    .await
}

/// Returns a job like [`find`], but waits until the job is final or `wait` has elapsed.
pub async fn wait_until_finished(
    db: impl PgExecutor<'_> + Copy,
    wake: &Notifier,
    job_id: JobId,
    requester: Option<i64>,
    wait: Duration,
) -> sqlx::Result<Option<JobView>> {
    // Announcements may get lost between processes; checking again periodically limits the delay.
    const LOOK_AGAIN: Duration = Duration::from_secs(5);
    let deadline = Instant::now() + wait;
    let mut finished = wake.subscribe(); // before the first check, so that nothing is missed in between
    loop {
        let job = find(db, job_id, requester).await?;
        let Some(view) = &job else { return Ok(None) };
        if view.state.is_final() || Instant::now() >= deadline || wake.is_ending() {
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
        // Either way the loop checks again.
        let _ = tokio::time::timeout_at(look_again, announced).await;
    }
}

/// Records the outcome of an attempt that did not succeed. The caller has the row locked.
pub(super) async fn close_attempt(
    tx: &mut PgConnection,
    job_id: JobId,
    outcome: &str,
    error: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into job_attempt (job_id, attempt, outcome, dispatched_at, running_at, duration_ms, worker, error)
         select job_id, attempt, $2, dispatched_at, running_at, duration_ms, worker, $3 from job where job_id = $1
         on conflict do nothing",
        job_id,
        outcome,
        error,
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Queues a job again, unless staff requested its revocation, or a newer duplicate already waits: then that one
/// supersedes it. The caller has the row locked, and releases the children when the new state is final.
pub(super) async fn requeue(
    tx: &mut PgConnection,
    job_id: JobId,
    after: Duration,
    error: Option<&str>,
) -> sqlx::Result<JobState> {
    let job = sqlx::query!(
        r#"select revoke_requested_at is not null as "revoke!", unique_key from job where job_id = $1"#,
        job_id
    )
    .fetch_one(&mut *tx)
    .await?;
    if job.revoke {
        revoke(tx, &[job_id], "revoked by staff").await?;
        return Ok(JobState::Revoked);
    }
    if let Some(key) = job.unique_key
        && let Some(duplicate) = waiting_twin(tx, job_id, &key).await?
    {
        supersede(tx, job_id, duplicate).await?;
        return Ok(JobState::Superseded);
    }
    sqlx::query!(
        "update job set state = 'queued', run_at = clock_timestamp() + make_interval(secs => $2), error = coalesce($3, error),
             finished_at = null
         where job_id = $1",
        job_id,
        after.as_secs_f64(),
        error,
    )
    .execute(tx)
    .await?;
    Ok(JobState::Queued)
}

/// Returns the waiting job of that key, locked: it must not end before the dependents of the other job wait for it.
async fn waiting_twin(tx: &mut PgConnection, job_id: JobId, key: &str) -> sqlx::Result<Option<JobId>> {
    sqlx::query_scalar!(
        "select job_id from job where unique_key = $1 and state = 'queued' and job_id <> $2 for update",
        key,
        job_id
    )
    .fetch_optional(tx)
    .await
}

/// Revokes these jobs, whatever they wait for. The caller has the rows locked and releases the children.
pub(super) async fn revoke(tx: &mut PgConnection, jobs: &[JobId], reason: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update job set state = 'revoked', error = $2, finished_at = clock_timestamp()
         where job_id = any($1) and state in ('queued', 'dispatched', 'running')",
        jobs,
        reason
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Releases the jobs that waited for these ended jobs; those that wait for nothing else can run.
pub(super) async fn release_children(tx: &mut PgConnection, ended: &[JobId]) -> sqlx::Result<()> {
    if ended.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "with released as (
             update job_parent set released = true where parent_id = any($1) and not released returning job_id)
         update job set waits_for = waits_for - child.released
         from (select job_id, count(*)::integer as released from released group by job_id) as child
         where job.job_id = child.job_id",
        ended
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Makes `duplicate` replace `job_id` and all jobs that it superseded, for all their requesters and dependents.
async fn supersede(tx: &mut PgConnection, job_id: JobId, duplicate: JobId) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into job_requester (job_id, user_id)
         select $2, user_id from job_requester where job_id = $1
         on conflict do nothing",
        job_id,
        duplicate
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update job_parent set parent_id = $2 where parent_id = $1 and not released and job_id <> $2
             and not exists (select from job_parent known where known.job_id = job_parent.job_id and known.parent_id = $2)",
        job_id,
        duplicate
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("update job set superseded_by = $2 where superseded_by = $1", job_id, duplicate)
        .execute(&mut *tx)
        .await?;
    sqlx::query!(
        "update job set state = 'superseded', superseded_by = $2, finished_at = clock_timestamp() where job_id = $1",
        job_id,
        duplicate
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Restarts an ended job and keeps its earlier attempts: it waits for those of its parents that run again as well, and
/// behind all other jobs of its serial key. The caller has the row locked.
pub(super) async fn run_again(tx: &mut PgConnection, job_id: JobId) -> sqlx::Result<JobState> {
    let serial_key = sqlx::query_scalar!(
        "update job set failures = 0, revoke_requested_at = null where job_id = $1 returning serial_key",
        job_id
    )
    .fetch_one(&mut *tx)
    .await?;
    let state = requeue(tx, job_id, Duration::ZERO, None).await?;
    if state == JobState::Queued {
        if let Some(key) = serial_key
            && let Some(last) = last_of_key(tx, &key, job_id).await?
        {
            queue_behind(tx, job_id, last).await?;
        }
        wait_for_parents(tx, job_id).await?;
    }
    Ok(state)
}

/// Makes a job that waits for its time run at once.
pub(super) async fn run_now(tx: &mut PgConnection, job_id: JobId) -> sqlx::Result<JobState> {
    sqlx::query!("update job set run_at = least(run_at, now()) where job_id = $1", job_id).execute(tx).await?;
    Ok(JobState::Queued)
}

/// Returns the last job of a serial key, except `besides`. The transaction that adds another job holds the lock on the
/// key from here on.
pub(super) async fn last_of_key(tx: &mut PgConnection, key: &str, besides: JobId) -> sqlx::Result<Option<JobId>> {
    // Concurrent transactions: the second one has to see the first one's row.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0))", key).execute(&mut *tx).await?;
    sqlx::query_scalar!(
        "select job_id from job
         where serial_key = $1 and state in ('queued', 'dispatched', 'running') and job_id <> $2
         order by job_id desc limit 1 for share",
        key,
        besides
    )
    .fetch_optional(tx)
    .await
}

async fn queue_behind(tx: &mut PgConnection, job_id: JobId, last: JobId) -> sqlx::Result<()> {
    sqlx::query!(
        "with added as (
             insert into job_parent (job_id, parent_id, needed) values ($1, $2, false) on conflict do nothing returning 1)
         update job set parents = parents + 1 where job_id = $1 and exists (select from added)",
        job_id,
        last
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Makes a job that runs again wait for those of its parents that have not ended or run again. It can't come to wait
/// for itself: nothing waits for an ended job, as this one was.
async fn wait_for_parents(tx: &mut PgConnection, job_id: JobId) -> sqlx::Result<()> {
    // None may end between the check of its state and our commit.
    sqlx::query!(
        "select job_id from job where job_id in (select parent_id from job_parent where job_id = $1)
         order by job_id for share",
        job_id
    )
    .fetch_all(&mut *tx)
    .await?;
    sqlx::query!(
        "update job_parent set released = parent.state not in ('queued', 'dispatched', 'running')
         from job parent where job_parent.job_id = $1 and parent.job_id = parent_id",
        job_id
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update job set waits_for = (select count(*) from job_parent where job_parent.job_id = $1 and not released)
         where job_id = $1",
        job_id
    )
    .execute(tx)
    .await
    .map(drop)
}
