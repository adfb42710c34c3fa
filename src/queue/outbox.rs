//! Writing a job in the transaction of the change that wants it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use uncloud_wire::{JobId, Kind, QueueName, job::millis};

use super::{db, job::Policy, wake};
use crate::request_context;

/// A job to be. Made with [`NewJob::new`]; the other fields are for those who want more.
#[derive(Debug)]
pub struct NewJob<'a> {
    /// Whose work it is.
    pub queue: &'a QueueName,
    /// What to do; see [`uncloud_wire::Kind`].
    pub kind: &'a str,
    /// Whom it is about; no secrets.
    pub payload: Value,
    /// Its terms: the kind's, or others for this job.
    pub policy: Policy,
    /// Jobs of one key run one at a time, and a request joins the one that waits.
    pub unique_key: Option<&'a str>,
    /// Jobs of one key run one after the other, and each of them runs.
    pub serial_key: Option<&'a str>,
    /// Not before; none: at once.
    pub run_at: Option<DateTime<Utc>>,
    /// What has to end first.
    pub after: After<'a>,
    /// The user who may follow it through the API.
    pub requester: Option<i64>,
}

/// The jobs that another one waits for.
#[derive(Debug, Clone, Copy)]
pub enum After<'a> {
    /// All of these have to succeed; otherwise the job fails and names the one that did not.
    Success(&'a [JobId]),
    /// All of these have to end, however.
    End(&'a [JobId]),
}

impl<'a> NewJob<'a> {
    /// A job of that kind on its kind's terms.
    pub const fn of(kind: Kind, queue: &'a QueueName, payload: Value) -> Self {
        Self::new(queue, kind.as_str(), payload, Policy::of(kind))
    }

    /// Due at once, with nothing to wait for, for nobody in particular.
    pub const fn new(queue: &'a QueueName, kind: &'a str, payload: Value, policy: Policy) -> Self {
        Self {
            queue,
            kind,
            payload,
            policy,
            unique_key: None,
            serial_key: None,
            run_at: None,
            after: After::End(&[]),
            requester: None,
        }
    }
}

/// Writes a job, or joins the waiting one with the same unique key.
///
/// `do update` locks the waiting row until this transaction ends: the relay passes over it meanwhile, so what it
/// renders later contains this change. With `do nothing` such changes get lost.
pub async fn enqueue(tx: &mut PgConnection, job: &NewJob<'_>) -> sqlx::Result<JobId> {
    let parents = lock_parents(tx, job).await?;
    let policy = &job.policy;
    // One statement, because the caller holds locks that others wait for.
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

/// The jobs that have to end first, locked so that none ends between the look at its state and our commit.
async fn lock_parents(tx: &mut PgConnection, job: &NewJob<'_>) -> sqlx::Result<Vec<(JobId, bool)>> {
    let (asked, needed) = match job.after {
        After::Success(jobs) => (jobs, true),
        After::End(jobs) => (jobs, false),
    };
    let mut parents: Vec<(JobId, bool)> = Vec::new();
    if let Some(key) = job.serial_key {
        let last = db::last_of_key(tx, key, 0).await?;
        parents.extend(last.map(|last| (last, false)));
    }
    parents.retain(|(parent, _)| !asked.contains(parent));
    parents.extend(asked.iter().map(|parent| (*parent, needed)));
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

/// Writes a job that goes on with what another one has left, on the same terms.
pub(super) async fn go_on(tx: &mut PgConnection, job_id: JobId, rest: &Value) -> sqlx::Result<JobId> {
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
    ids.sort_unstable(); // numbered in the order of the rows, returned in any
    Ok(ids)
}

/// Wakes the relays of the running servers. For processes that have no relay themselves, after their commit.
pub async fn wake_relays(executor: impl PgExecutor<'_>) -> sqlx::Result<()> {
    wake::announce_queued(executor).await
}
