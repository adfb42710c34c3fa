//! Reading jobs, and the state changes that more than one part makes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use tokio::{sync::broadcast::error::RecvError, time::Instant};
use uncloud_wire::JobId;

use super::{
    job::JobState,
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
    /// See [`uncloud_wire::Kind`].
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
    /// How far it is, as its handler said.
    pub progress: Option<Value>,
}

/// One job; `requester` limits it to those that this user asked for.
pub async fn find(pool: &PgPool, job_id: JobId, requester: Option<i64>) -> sqlx::Result<Option<JobView>> {
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
        // Either way the loop looks again.
        let _ = tokio::time::timeout_at(look_again, announced).await;
    }
}

/// Notes what became of an attempt that was not the job's success. The caller has the row locked.
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

/// Puts a job back, unless staff want it revoked, or a newer twin waits already: then it gives way. The caller has
/// the row locked, and releases the children when the new state is final.
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
        && let Some(twin) = waiting_twin(tx, job_id, &key).await?
    {
        supersede(tx, job_id, twin).await?;
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

/// The job of that key that waits, locked: it must not end before what waits for the other one waits for it.
async fn waiting_twin(tx: &mut PgConnection, job_id: JobId, key: &str) -> sqlx::Result<Option<JobId>> {
    sqlx::query_scalar!(
        "select job_id from job where unique_key = $1 and state = 'queued' and job_id <> $2 for update",
        key,
        job_id
    )
    .fetch_optional(tx)
    .await
}

/// Makes these jobs revoked, whatever they wait for. The caller has the rows locked and releases the children.
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

/// Lets those that waited for these ended jobs run, when they wait for nothing else.
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

/// Lets `twin` do the work of `job_id` and of all that gave way to it, for all who asked for them or wait for them.
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
    sqlx::query!(
        "update job_parent set parent_id = $2 where parent_id = $1 and not released and job_id <> $2
             and not exists (select from job_parent known where known.job_id = job_parent.job_id and known.parent_id = $2)",
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

/// Puts an ended job back to the start, with all its attempts before it: it waits for those of its parents that run again
/// as well, and behind all others of its serial key. The caller has the row locked.
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

/// Lets a job that waits for its time go at once.
pub(super) async fn run_now(tx: &mut PgConnection, job_id: JobId) -> sqlx::Result<JobState> {
    sqlx::query!("update job set run_at = least(run_at, now()) where job_id = $1", job_id).execute(tx).await?;
    Ok(JobState::Queued)
}

/// The last job of a serial key, besides `besides`. Whoever adds another one has the key locked from here on.
pub(super) async fn last_of_key(tx: &mut PgConnection, key: &str, besides: JobId) -> sqlx::Result<Option<JobId>> {
    // Two at a time: the second has to see the first one's row.
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

/// Makes a job that runs again wait for those of its parents that have not ended (any more). It can't come to wait for
/// itself: nothing waits for a job that has ended, as this one had.
async fn wait_for_parents(tx: &mut PgConnection, job_id: JobId) -> sqlx::Result<()> {
    // None may end between the look at its state and our commit.
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
