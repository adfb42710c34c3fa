//! Explains why a job is stuck and suggests a fix.

use sqlx::PgPool;
use uncloud_wire::JobId;

use super::{inspect::JobDetail, job::JobState};

/// Returns one or two sentences for staff; none if nothing is wrong.
pub(super) async fn hint(db: &PgPool, job: &JobDetail) -> sqlx::Result<Option<String>> {
    let id = job.line.job_id;
    Ok(match job.line.state {
        JobState::Queued => waiting(db, job).await?,
        JobState::Dispatched | JobState::Running if job.revoke_requested_at.is_some() => {
            let silence = silence(db, id).await?.map_or_else(String::new, |silence| format!(": {silence}"));
            Some(format!("staff requested its revocation, and its worker has not confirmed it yet{silence}"))
        }
        JobState::Dispatched => {
            let busy = "its workers are busy with other jobs; start more workers, or use `uncloud worker scale`";
            Some(silence(db, id).await?.unwrap_or_else(|| busy.to_owned()))
        }
        JobState::Running => silence(db, id).await?,
        JobState::Failed => Some(format!(
            "it failed permanently; fix the cause of its error, then run it again: `uncloud job retry {id}`"
        )),
        JobState::Revoked => Some(format!("it was revoked; run it again with `uncloud job retry {id}`")),
        JobState::Succeeded | JobState::Superseded => None,
    })
}

/// Returns what the database reports of a queue whose worker is silent.
async fn silence(db: &PgPool, job_id: JobId) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select worker_silence(queue, state, dispatched_at) from job where job_id = $1", job_id)
        .fetch_one(db)
        .await
}

async fn waiting(db: &PgPool, job: &JobDetail) -> sqlx::Result<Option<String>> {
    let queue = &job.line.queue;
    let unfinished: Vec<String> =
        job.parents.iter().filter(|parent| !parent.state.is_final()).map(|parent| parent.job_id.to_string()).collect();
    if !unfinished.is_empty() {
        return Ok(Some(format!("it waits for the end of job {}", unfinished.join(", "))));
    }
    let known = sqlx::query!(
        r#"select paused_at is not null as "paused?", rate_limit, rate_period_seconds as "rate_period_seconds?",
                  extract(epoch from run_at - now())::float8 as "secs_until!",
                  (select busy.job_id from job busy where busy.unique_key = job.unique_key
                       and busy.state in ('dispatched', 'running')) as busy,
                  (select count(*) from job other where other.queue = job.queue
                       and other.state in ('dispatched', 'running')) as "in_flight!"
           from job left join job_queue using (queue) where job_id = $1"#,
        job.line.job_id
    )
    .fetch_one(db)
    .await?;
    if known.paused == Some(true) {
        return Ok(Some(format!("queue {queue} is paused; resume it with `uncloud queue resume {queue}`")));
    }
    if known.secs_until > 0.0 {
        let failed = if job.failures > 0 { "it failed and will be retried" } else { "it becomes available" };
        let now = format!("`uncloud job retry {}` runs it at once", job.line.job_id);
        return Ok(Some(format!("{failed} in {:.0} s; {now}", known.secs_until.ceil())));
    }
    if let Some(busy) = known.busy {
        return Ok(Some(format!("it waits for the end of job {busy}, which has the same unique key")));
    }
    if let (Some(jobs), Some(secs)) = (known.rate_limit, known.rate_period_seconds) {
        return Ok(Some(format!("queue {queue} starts at most {jobs} jobs in {secs} s; this job waits for its turn")));
    }
    if known.in_flight > 0 {
        return Ok(Some(format!("{} jobs of queue {queue} were dispatched before it", known.in_flight)));
    }
    Ok(Some(
        "no server has dispatched it yet; is `uncloud serve` running, and does it reach Redis (GET /readyz)?".into(),
    ))
}
