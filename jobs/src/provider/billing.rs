//! Bill runs, on the queue `billing`, whose workers alone have the database's credentials.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgPool;
use uncloud::billing::{bill_run::Progress, jobs};
use uncloud_wire::{JobError, stream::JobControl};

#[derive(Deserialize)]
struct Plan {
    as_of: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Share {
    run: i64,
}

pub(super) async fn plan(database: &PgPool, payload: &[u8], control: &JobControl) -> Result<Value, JobError> {
    let Plan { as_of } = read(payload)?;
    jobs::plan(database, control.job_id(), as_of).await
}

pub(super) async fn part(database: &PgPool, payload: &[u8], control: &JobControl) -> Result<Value, JobError> {
    let Share { run } = read(payload)?;
    jobs::part(database, run, |progress| report(control, progress)).await
}

pub(super) async fn end(database: &PgPool, payload: &[u8], control: &JobControl) -> Result<Value, JobError> {
    let Share { run } = read(payload)?;
    jobs::end(database, run, |progress| report(control, progress)).await
}

fn report(control: &JobControl, progress: Progress) {
    let count = |customers: i32| u64::try_from(customers).unwrap_or_default();
    control.progress(count(progress.customers_done), count(progress.customers), "customers of the run");
}

fn read<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, JobError> {
    serde_json::from_slice(payload).map_err(|error| JobError::Fail(format!("the job's payload is invalid: {error}")))
}
