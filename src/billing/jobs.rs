//! A bill run as jobs on the queue `billing`: one job plans the run, several bill its parts, and the last job assigns
//! the numbers when all of them are done.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use uncloud_wire::{JobError, JobId, Kind, QueueName};

use super::{
    bill_run::{Progress, Run},
    db,
    one::past,
    run,
};
use crate::{
    error::Error,
    queue::{self, Claimed, DependsOn, NewJob, Prepared},
    request_context,
};

/// The number of jobs that share the parts of a run; any number of workers may process them.
const SHARES: usize = 8;
/// The delay before a job tries again while another run has to end first.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Enqueues a run as of `as_of`, or as of the time of the request.
pub async fn request(pool: &PgPool, as_of: Option<DateTime<Utc>>, requester: i64) -> Result<JobId, Error> {
    let mut tx = request_context::begin(pool).await?;
    if let Some(as_of) = as_of {
        past(crate::clock::now(&mut *tx).await?, Some(as_of))?;
    }
    let queue = QueueName::billing();
    let payload = as_of.map_or_else(|| json!({}), |as_of| json!({ "as_of": as_of }));
    let job = NewJob { requester: Some(requester), ..NewJob::of(Kind::BillRun, &queue, payload) };
    let job_id = queue::enqueue(&mut tx, &job).await?;
    tx.commit().await?;
    Ok(job_id)
}

/// Returns the payloads as stored: they do not contain secrets.
pub fn prepare(jobs: &[&Claimed]) -> Vec<(JobId, Prepared)> {
    jobs.iter().map(|job| (job.job_id, Prepared::Payload(job.payload.to_string().into_bytes()))).collect()
}

/// Starts the run and enqueues its shares, in one transaction. Idempotent: a repeated job joins the run.
pub async fn plan(pool: &PgPool, job_id: JobId, as_of: Option<DateTime<Utc>>) -> Result<Value, JobError> {
    let mut tx = request_context::begin(pool).await.map_err(retry)?;
    let (enqueued_at, requester) = db::request_of(&mut *tx, job_id).await.map_err(retry)?;
    let as_of = match as_of {
        Some(as_of) => as_of,
        None => run::cut_off(&mut tx, enqueued_at).await.map_err(decide)?,
    };
    let run = run::begin_in(&mut tx, as_of, requester).await.map_err(decide)?;
    if !run.ended {
        share_out(&mut tx, &run).await.map_err(decide)?;
    }
    tx.commit().await.map_err(retry)?;
    queue::wake_relays(pool).await.map_err(retry)?;
    if run.as_of == crate::billing::bill_run::second(as_of) {
        return Ok(json!({ "run": run.run_id, "as_of": run.as_of, "customers": run.customers }));
    }
    Err(JobError::Snooze { after: LOOK_AGAIN, reason: format!("bill run {} has to end first", run.run_id) })
}

async fn share_out(tx: &mut sqlx::PgConnection, run: &Run) -> Result<(), Error> {
    let (queue, run_id) = (QueueName::billing(), run.run_id);
    let payload = json!({ "run": run_id });
    let keys: Vec<String> = (0..SHARES).map(|share| format!("bill_part:{run_id}:{share}")).collect();
    let mut shares = Vec::with_capacity(SHARES);
    for key in &keys {
        let job = NewJob { unique_key: Some(key), ..NewJob::of(Kind::BillPart, &queue, payload.clone()) };
        shares.push(queue::enqueue(tx, &job).await?);
    }
    let key = format!("bill_end:{run_id}");
    let end =
        NewJob { unique_key: Some(&key), after: DependsOn::End(&shares), ..NewJob::of(Kind::BillEnd, &queue, payload) };
    queue::enqueue(tx, &end).await?;
    Ok(())
}

/// Bills a share of a run: all parts that no other worker holds.
pub async fn part(pool: &PgPool, run_id: i64, report: impl FnMut(Progress)) -> Result<Value, JobError> {
    let run = find(pool, run_id).await?;
    run::work(pool, &run, report).await.map_err(decide)?;
    let progress = run::progress(pool, run_id).await.map_err(decide)?;
    Ok(json!({ "customers_done": progress.customers_done, "customers": progress.customers }))
}

/// Assigns the numbers to the run's bills. If a share has failed, this job bills the parts that it left.
pub async fn end(pool: &PgPool, run_id: i64, report: impl FnMut(Progress)) -> Result<Value, JobError> {
    let run = find(pool, run_id).await?;
    run::work(pool, &run, report).await.map_err(decide)?;
    if !run::finish(pool, &run).await.map_err(decide)? {
        let reason = "other workers are still billing the run's last customers".to_owned();
        return Err(JobError::Snooze { after: LOOK_AGAIN, reason });
    }
    let mut connection = pool.acquire().await.map_err(retry)?;
    let summary = run::summary(&mut connection, run_id).await.map_err(decide)?;
    let bills: Vec<Value> = summary
        .into_iter()
        .map(|line| json!({ "currency": line.currency, "bills": line.bills, "gross": line.gross }))
        .collect();
    let problems = run::problems(pool, run_id).await.map_err(decide)?.len();
    Ok(json!({ "run": run_id, "bills": bills, "problems": problems }))
}

async fn find(pool: &PgPool, run_id: i64) -> Result<Run, JobError> {
    let run = db::run(pool, run_id).await.map_err(decide)?;
    run.ok_or_else(|| JobError::Fail(format!("bill run {run_id} not found")))
}

fn retry(error: sqlx::Error) -> JobError {
    decide(error.into())
}

/// Retries after an outage; a request that was refused would be refused again, so the job fails.
fn decide(error: Error) -> JobError {
    match error {
        Error::Unavailable(cause) => {
            tracing::warn!(cause = format!("{cause:#}"), "the database is unavailable");
            JobError::Retry("the database is unavailable".to_owned())
        }
        Error::Internal(cause) => {
            tracing::error!(cause = format!("{cause:#}"), "billing failed");
            JobError::Retry("billing failed; see the worker's log for the cause".to_owned())
        }
        refusal => JobError::Fail(refusal.to_string()),
    }
}
