//! Runs the servers' own jobs: all of their work is in the database, so each is one transaction with its own end, and
//! takes effect once even if a server dies. These jobs go neither through Redis nor to a worker, and do not delay jobs
//! that do.

use std::time::{Duration, Instant};

use ring::rand::SystemRandom;
use sqlx::{Acquire as _, PgConnection};
use tokio::sync::watch;
use uncloud_wire::{JobId, QueueName, stream::clean};

use super::{
    Runner,
    claim::{ClaimScope, Claimed, claim},
    db,
    events::{self, Ended, Event},
    relay::{AppliedPrepared, apply_prepared},
};

/// The interval of checks: notifications may get lost, and failed jobs wait for their backoff; checking periodically
/// limits the delay.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// The longest wait for a lock. Another transaction may want the locks that this one holds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn run(runner: Runner, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match work(&runner).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "could not run the server's own jobs; retrying");
            }
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = runner.wake.wait_for_server_jobs() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Runs one job; returns false if none is available.
async fn work(runner: &Runner) -> anyhow::Result<bool> {
    let mut tx = crate::request_context::begin(&runner.pool).await?;
    let jobs = claim(&mut tx, ClaimScope::Server).await?.jobs;
    let Some((job_id, fence)) = jobs.first().map(|job| (job.job_id, job.fence)) else {
        tx.commit().await?;
        return Ok(false);
    };
    // A failure undoes the attempt's changes, but its record is kept.
    let mut attempt = tx.begin().await?;
    let began = Instant::now();
    let mut ended = match perform(runner, &mut attempt, jobs).await {
        Ok(AppliedPrepared { ended, .. }) => {
            attempt.commit().await?;
            ended
        }
        Err(error) => {
            attempt.rollback().await?;
            note_failure(&mut tx, job_id, fence, &error).await?
        }
    };
    tx.commit().await?;
    for attempt in &mut ended.attempts {
        attempt.ran = Some(began.elapsed());
    }
    runner.metrics.note_attempts(ended.attempts);
    if !ended.finished.is_empty() {
        runner.finished(&ended.finished).await?;
    }
    runner.wake.queued(); // the jobs that it has enqueued
    Ok(true)
}

async fn perform(runner: &Runner, tx: &mut PgConnection, jobs: Vec<Claimed>) -> anyhow::Result<AppliedPrepared> {
    let millis = |limit: Option<Duration>| limit.unwrap_or_default().as_millis().to_string(); // 0 is none
    sqlx::query!(
        "select set_config('lock_timeout', $1, true) as lock, set_config('statement_timeout', $2, true) as statement",
        millis(Some(LOCK_TIMEOUT)),
        millis(jobs.iter().filter_map(|job| job.hard_limit).max()),
    )
    .fetch_one(&mut *tx)
    .await?;
    let prepared = runner.kinds.prepare(tx, &jobs).await?;
    apply_prepared(tx, jobs, prepared).await
}

/// Records a failure as for a worker's job: it is retried after a backoff, up to its limit.
async fn note_failure(tx: &mut PgConnection, job_id: JobId, fence: i64, error: &anyhow::Error) -> sqlx::Result<Ended> {
    let event = Event::failure(job_id, fence, clean(&format!("{error:#}")));
    let mut ended = Ended::default();
    events::mark_ended(tx, &QueueName::server(), &event, &SystemRandom::new(), &mut ended).await?;
    db::release_children(tx, &ended.finished).await?;
    Ok(ended)
}
