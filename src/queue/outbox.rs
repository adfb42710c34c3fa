//! Writing a job in the transaction of the change that wants it.

use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};

use super::{JobId, QueueName, wake};

/// A job to be.
#[derive(Debug)]
pub struct NewJob<'a> {
    /// Whose work it is.
    pub queue: &'a QueueName,
    /// What to do; see [`crate::kinds::Kind`].
    pub kind: &'a str,
    /// Whom it is about; no secrets.
    pub payload: Value,
    /// Jobs of one key run one at a time, and a request joins the one that waits.
    pub unique_key: &'a str,
}

/// Writes a job, or joins the waiting one with the same key. `requester` may follow it through the API.
///
/// `do update` locks the waiting row until this transaction ends: the relay passes over it meanwhile, so what it
/// renders later contains this change. With `do nothing` such changes get lost.
pub async fn enqueue(tx: &mut PgConnection, job: &NewJob<'_>, requester: Option<i64>) -> sqlx::Result<JobId> {
    // One statement, because the caller holds locks that others wait for.
    sqlx::query_scalar!(
        r#"with asked as (
               insert into job (queue, kind, payload, unique_key) values ($1, $2, $3, $4)
               on conflict (unique_key) where state = 'queued' do update set run_at = least(job.run_at, excluded.run_at)
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
        requester,
    )
    .fetch_one(tx)
    .await
}

/// Wakes the relays of the running servers. For processes that have no relay themselves, after their commit.
pub async fn wake_relays(executor: impl PgExecutor<'_>) -> sqlx::Result<()> {
    wake::announce_queued(executor).await
}
