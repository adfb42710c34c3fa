//! Deletes jobs that ended long ago, with all that belongs to them, and workers that are gone.

use serde_json::json;
use sqlx::PgConnection;
use uncloud_wire::JobId;

use super::{claim::Claimed, kinds::Prepared};

/// The number of jobs deleted in one transaction: some hundredths of a second, in which no other transaction waits for
/// these jobs.
const BATCH: i64 = 1000;

/// Deletes a batch for each job; while batches are full, a continuation follows.
pub async fn prepare_cleanup(tx: &mut PgConnection, jobs: &[&Claimed]) -> sqlx::Result<Vec<(JobId, Prepared)>> {
    let mut prepared = Vec::with_capacity(jobs.len());
    for job in jobs {
        let (forgotten, workers) = (forget_jobs(tx).await?, forget_workers(tx).await?);
        let full = i64::try_from(forgotten).is_ok_and(|forgotten| forgotten >= BATCH);
        let result = json!({ "jobs": forgotten, "workers": workers });
        prepared.push((job.job_id, Prepared::Done { result, rest: full.then(|| json!({})) }));
    }
    Ok(prepared)
}

/// Deletes expired jobs, by the partial index on `keep_until`, so that the cost depends on the deleted rows only. Jobs
/// that others still need are retained: the duplicate that superseded a retained job, and the parent of a job that has
/// yet to run.
async fn forget_jobs(tx: &mut PgConnection) -> sqlx::Result<u64> {
    let forgotten = sqlx::query!(
        "with old as (
             select job_id from job
             where keep_until < now() at time zone 'UTC'
                 and not exists (select from job gave_way where gave_way.superseded_by = job.job_id)
                 and not exists (
                     select from job_parent join job child using (job_id)
                     where parent_id = job.job_id and child.state in ('queued', 'dispatched', 'running'))
             order by keep_until limit $1 for update of job skip locked)
         delete from job using old where job.job_id = old.job_id",
        BATCH
    )
    .execute(tx)
    .await?;
    Ok(forgotten.rows_affected())
}

/// Deletes workers of the past. Staff see those of the last hour.
async fn forget_workers(tx: &mut PgConnection) -> sqlx::Result<u64> {
    let forgotten =
        sqlx::query!("delete from worker where last_seen_at < now() - interval '1 day'").execute(tx).await?;
    Ok(forgotten.rows_affected())
}
