//! Staff's operations on jobs, queues and workers. Each changes rows; the servers do the rest.

use sqlx::PgPool;
use uncloud_wire::{JobId, QueueName};

use super::{
    claim, db,
    inspect::JobFilter,
    job::JobState,
    notifier::{self, Notifier},
};
use crate::{code::Code, error::Error, request_context};

/// The number of jobs that one transaction revokes or runs again.
const BATCH: i64 = 1000;

/// Revokes a job. A waiting job is revoked at once; if the job was dispatched or is running, its workers are notified,
/// and it ends when they have received the command. Returns the job's current state.
pub async fn revoke(db: &PgPool, wake: &Notifier, job_id: JobId) -> Result<JobState, Error> {
    let mut tx = request_context::begin(db).await?;
    let state =
        sqlx::query_scalar!(r#"select state as "state: JobState" from job where job_id = $1 for update"#, job_id)
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| not_found(job_id))?;
    match state {
        JobState::Queued => {
            db::revoke(&mut tx, &[job_id], "revoked by staff").await?;
            db::release_children(&mut tx, &[job_id]).await?;
            tx.commit().await?;
            notifier::announce_finished(db, wake, &[job_id]).await?;
            notifier::announce_queued(db).await?;
            Ok(JobState::Revoked)
        }
        JobState::Dispatched | JobState::Running => {
            sqlx::query!(
                "update job set revoke_requested_at = coalesce(revoke_requested_at, now()) where job_id = $1",
                job_id
            )
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            notifier::announce_control(db).await?;
            Ok(state)
        }
        ended => {
            let detail = format!("job {job_id} has already ended: it is {}", ended.as_str());
            Err(Error::Conflict { code: Code::JobEnded, detail, field: None })
        }
    }
}

/// Revokes all waiting jobs of a queue. Returns their number.
pub async fn purge(db: &PgPool, wake: &Notifier, queue: &QueueName) -> Result<u64, Error> {
    let mut purged = 0;
    loop {
        let mut tx = request_context::begin(db).await?;
        // One of the two always holds, but the condition names the two indexes without ended jobs.
        let jobs = sqlx::query_scalar!(
            "select job_id from job where queue = $1 and state = 'queued' and (waits_for = 0 or waits_for > 0)
             order by job_id limit $2 for update",
            queue.as_str(),
            BATCH,
        )
        .fetch_all(&mut *tx)
        .await?;
        db::revoke(&mut tx, &jobs, "revoked by staff with all waiting jobs of its queue").await?;
        db::release_children(&mut tx, &jobs).await?;
        tx.commit().await?;
        if jobs.is_empty() {
            return Ok(purged);
        }
        purged += jobs.len() as u64;
        notifier::announce_finished(db, wake, &jobs).await?;
    }
}

/// Runs a failed or revoked job again, with its counters reset; if a duplicate of it already waits, that one supersedes
/// it. A job that waits for its time runs at once.
pub async fn retry(db: &PgPool, job_id: JobId) -> Result<JobState, Error> {
    let mut tx = request_context::begin(db).await?;
    let state =
        sqlx::query_scalar!(r#"select state as "state: JobState" from job where job_id = $1 for update"#, job_id)
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| not_found(job_id))?;
    let state = match state {
        JobState::Failed | JobState::Revoked => db::run_again(&mut tx, job_id).await?,
        JobState::Queued => db::run_now(&mut tx, job_id).await?,
        JobState::Dispatched | JobState::Running | JobState::Succeeded | JobState::Superseded => {
            let state = state.as_str();
            let detail = format!("job {job_id} is {state}; only failed, revoked and waiting jobs can be retried");
            return Err(Error::Conflict { code: Code::JobNotRetryable, detail, field: None });
        }
    };
    tx.commit().await?;
    notifier::announce_queued(db).await?;
    Ok(state)
}

/// Runs all failed jobs that match again. Returns their number.
pub async fn retry_all(db: &PgPool, filter: &JobFilter) -> Result<u64, Error> {
    let (mut after, mut retried) = (0, 0);
    loop {
        let mut tx = request_context::begin(db).await?;
        let jobs = sqlx::query_scalar!(
            r#"select job_id from job
               where state = 'failed' and job_id > $1 and ($2::text is null or queue = $2) and ($3::text is null or kind = $3)
                   and ($4::integer is null or created_at < now() - make_interval(secs => $4))
                   and ($5::text is null or strpos(lower(error), lower($5)) > 0)
               order by job_id limit $6 for update"#,
            after,
            filter.queue,
            filter.kind,
            filter.min_age_seconds,
            filter.error,
            BATCH,
        )
        .fetch_all(&mut *tx)
        .await?;
        for job in &jobs {
            db::run_again(&mut tx, *job).await?;
        }
        tx.commit().await?;
        notifier::announce_queued(db).await?;
        let Some(last) = jobs.last() else { return Ok(retried) };
        after = *last;
        retried += jobs.len() as u64;
    }
}

/// The settings of a queue that staff change.
#[derive(Debug, Clone, Copy, Default)]
pub struct QueueSettings {
    /// True pauses dispatching, false resumes it.
    pub paused: Option<bool>,
    /// The number of jobs, and the seconds in which they may start; the inner none removes the limit.
    pub rate: Option<Option<(i32, i32)>>,
}

/// Changes the settings of a queue.
pub async fn set_queue(db: &PgPool, queue: &QueueName, settings: QueueSettings) -> sqlx::Result<()> {
    let mut tx = request_context::begin(db).await?;
    let rate = settings.rate.flatten();
    if settings.paused == Some(true) {
        claim::wait_for_claims(&mut tx).await?;
    }
    sqlx::query!(
        "insert into job_queue as known (queue, paused_at, rate_limit, rate_period_seconds)
         values ($1, case when $2 then now() end, $4, coalesce($5, 1))
         on conflict (queue) do update set
             paused_at = case when $2::boolean is null then known.paused_at
                              when $2 then coalesce(known.paused_at, now()) end,
             rate_limit = case when $3 then $4 else known.rate_limit end,
             rate_period_seconds = case when $3 then coalesce($5, 1) else known.rate_period_seconds end",
        queue.as_str(),
        settings.paused,
        settings.rate.is_some(),
        rate.map(|(jobs, _)| jobs),
        rate.map(|(_, secs)| secs),
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    notifier::announce_queued(db).await
}

/// Requests an immediate report from a queue's workers.
pub async fn ping(db: &PgPool, queue: &QueueName) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into job_queue (queue, ping_at) values ($1, clock_timestamp())
         on conflict (queue) do update set ping_at = excluded.ping_at",
        queue.as_str()
    )
    .execute(db)
    .await?;
    notifier::announce_control(db).await
}

/// Sets the number of jobs that a live worker runs at the same time.
pub async fn set_concurrency(db: &PgPool, worker_id: i64, concurrency: u16) -> Result<(), Error> {
    let mut tx = request_context::begin(db).await?;
    let known = sqlx::query!(
        "update worker set desired_concurrency = $2 where worker_id = $1 and not stopped",
        worker_id,
        i32::from(concurrency),
    )
    .execute(&mut *tx)
    .await?;
    if known.rows_affected() == 0 {
        return Err(Error::NotFound(format!("running worker {worker_id} not found").into()));
    }
    tx.commit().await?;
    notifier::announce_control(db).await?;
    Ok(())
}

fn not_found(job_id: JobId) -> Error {
    Error::NotFound(format!("job {job_id} not found").into())
}
