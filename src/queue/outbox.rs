//! Writes jobs in the transaction of the change that requires them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use uncloud_wire::{JobId, Kind, QueueName, job::millis};

use super::{db, job::Policy, notifier};
use crate::request_context;

/// A job to be enqueued. [`NewJob::new`] creates it; the other fields are optional settings.
#[derive(Debug)]
pub struct NewJob<'a> {
    /// The queue that the job goes to.
    pub queue: &'a QueueName,
    /// The kind of the job; see [`uncloud_wire::Kind`].
    pub kind: &'a str,
    /// The payload; it must not contain secrets.
    pub payload: Value,
    /// The policy: that of the kind, or another one for this job.
    pub policy: Policy,
    /// A key whose jobs run one at a time; a request joins the job that waits.
    pub unique_key: Option<&'a str>,
    /// A key whose jobs run one after the other; each of them runs.
    pub serial_key: Option<&'a str>,
    /// The earliest time to run; none: at once.
    pub run_at: Option<DateTime<Utc>>,
    /// The jobs that have to end first.
    pub after: DependsOn<'a>,
    /// The user who may follow it through the API.
    pub requester: Option<i64>,
}

/// The jobs that another job waits for.
#[derive(Debug, Clone, Copy)]
pub enum DependsOn<'a> {
    /// All of these have to succeed; otherwise the job fails and its error names the one that did not.
    Success(&'a [JobId]),
    /// All of these have to end, in any final state.
    End(&'a [JobId]),
}

impl<'a> NewJob<'a> {
    /// Creates a job of that kind with its kind's policy.
    pub const fn of(kind: Kind, queue: &'a QueueName, payload: Value) -> Self {
        Self::new(queue, kind.as_str(), payload, Policy::of(kind))
    }

    /// Creates a job that is available at once, waits for nothing and has no requester.
    pub const fn new(queue: &'a QueueName, kind: &'a str, payload: Value, policy: Policy) -> Self {
        Self {
            queue,
            kind,
            payload,
            policy,
            unique_key: None,
            serial_key: None,
            run_at: None,
            after: DependsOn::End(&[]),
            requester: None,
        }
    }
}

/// Writes a job, or joins the waiting job with the same unique key.
///
/// `do update` locks the waiting row until this transaction ends: the relay skips it meanwhile, so the payload that it
/// prepares later contains this change. With `do nothing` such changes get lost.
pub async fn enqueue(tx: &mut PgConnection, job: &NewJob<'_>) -> sqlx::Result<JobId> {
    let parents = lock_parents(tx, job).await?;
    let policy = &job.policy;
    // One statement, because the caller holds locks that other transactions wait for.
    let job_id = sqlx::query_scalar!(
        r#"with asked as (
               insert into job (queue, kind, payload, unique_key, serial_key, run_at, waits_for, parents, request_id,
                   max_failures, backoff_base_ms, backoff_max_ms, soft_limit_ms, hard_limit_ms, priority, keep_seconds)
               values ($1, $2, $3, $4, $6, coalesce($7, now()), $8, $8, $9, $10, $11, $12, $13, $14, $15, $16)
               on conflict (unique_key) where state = 'queued' and unique_key is not null
                   do update set run_at = least(job.run_at, excluded.run_at),
                       priority = greatest(job.priority, excluded.priority)
               returning job_id),
           asker as (
               insert into job_requester (job_id, user_id)
               select job_id, $5::bigint from asked where $5::bigint is not null
               on conflict do nothing)
           select job_id as "job_id!" from asked"#,
        job.queue.as_str(),
        job.kind,
        job.payload,
        job.unique_key,
        job.requester,
        job.serial_key,
        job.run_at,
        i32::try_from(parents.len()).unwrap_or(i32::MAX),
        request_context::request_id(),
        policy.max_failures,
        millis(policy.backoff_base),
        millis(policy.backoff_max),
        policy.soft_limit.map(millis),
        policy.hard_limit.map(millis),
        policy.priority,
        i32::try_from(policy.keep.as_secs()).unwrap_or(i32::MAX),
    )
    .fetch_one(&mut *tx)
    .await?;
    if !parents.is_empty() {
        let (ids, needed): (Vec<JobId>, Vec<bool>) = parents.into_iter().unzip();
        sqlx::query!(
            "insert into job_parent (job_id, parent_id, needed, released)
             select $1, parent_id, needed, state not in ('queued', 'dispatched', 'running')
             from unnest($2::bigint[], $3::bool[]) as parent (parent_id, needed) join job on job.job_id = parent_id
             on conflict do nothing -- a waiting job that this request joins may know it already",
            job_id,
            &ids,
            &needed,
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "update job set (parents, waits_for) =
                 (select count(*), count(*) filter (where not released) from job_parent where job_parent.job_id = $1)
             where job_id = $1",
            job_id,
        )
        .execute(tx)
        .await?;
    }
    Ok(job_id)
}

/// Returns the jobs that have to end first, locked so that none ends between the check of its state and our commit.
async fn lock_parents(tx: &mut PgConnection, job: &NewJob<'_>) -> sqlx::Result<Vec<(JobId, bool)>> {
    let (requested, needed) = match job.after {
        DependsOn::Success(jobs) => (jobs, true),
        DependsOn::End(jobs) => (jobs, false),
    };
    let mut parents: Vec<(JobId, bool)> = Vec::new();
    if let Some(key) = job.serial_key {
        let last = db::last_of_key(tx, key, 0).await?;
        parents.extend(last.map(|last| (last, false)));
    }
    parents.retain(|(parent, _)| !requested.contains(parent));
    parents.extend(requested.iter().map(|parent| (*parent, needed)));
    parents.sort_unstable(); // requests that joined one job may name it twice
    parents.dedup();
    if !parents.is_empty() {
        let ids: Vec<JobId> = parents.iter().map(|(parent, _)| *parent).collect();
        sqlx::query!("select job_id from job where job_id = any($1) order by job_id for share", &ids)
            .fetch_all(tx)
            .await?;
    }
    Ok(parents)
}

/// Writes a continuation: a job with the remaining work of another one, with the same policy.
pub(super) async fn enqueue_continuation(tx: &mut PgConnection, job_id: JobId, rest: &Value) -> sqlx::Result<JobId> {
    sqlx::query_scalar!(
        "insert into job (queue, kind, payload, request_id, max_failures, backoff_base_ms, backoff_max_ms, soft_limit_ms,
             hard_limit_ms, priority, keep_seconds)
         select queue, kind, $2, request_id, max_failures, backoff_base_ms, backoff_max_ms, soft_limit_ms, hard_limit_ms,
             priority, keep_seconds
         from job where job_id = $1
         returning job_id",
        job_id,
        rest,
    )
    .fetch_one(tx)
    .await
}

/// Writes many jobs of one queue and kind in one statement; returns their ids in the order of their payloads.
pub async fn enqueue_all(
    tx: &mut PgConnection,
    queue: &QueueName,
    kind: &str,
    policy: &Policy,
    payloads: &[Value],
) -> sqlx::Result<Vec<JobId>> {
    let mut ids = sqlx::query_scalar!(
        r#"insert into job (queue, kind, payload, request_id, max_failures, backoff_base_ms, backoff_max_ms,
               soft_limit_ms, hard_limit_ms, priority, keep_seconds)
           select $1, $2, payload, $4, $5, $6, $7, $8, $9, $10, $11
           from unnest($3::jsonb[]) with ordinality as wanted (payload, place) order by place
           returning job_id"#,
        queue.as_str(),
        kind,
        payloads,
        request_context::request_id(),
        policy.max_failures,
        millis(policy.backoff_base),
        millis(policy.backoff_max),
        policy.soft_limit.map(millis),
        policy.hard_limit.map(millis),
        policy.priority,
        i32::try_from(policy.keep.as_secs()).unwrap_or(i32::MAX),
    )
    .fetch_all(tx)
    .await?;
    ids.sort_unstable(); // numbered in the order of the rows, returned in any order
    Ok(ids)
}

/// Wakes the relays of the running servers. For processes that have no relay, after their commit.
pub async fn wake_relays(executor: impl PgExecutor<'_>) -> sqlx::Result<()> {
    notifier::announce_queued(executor).await
}
