//! Pushes available jobs from PostgreSQL to Redis.

use std::{collections::BTreeSet, time::Duration};

use apalis_core::{backend::TaskSink as _, task::builder::TaskBuilder};
use futures_util::stream;
use sqlx::PgConnection;
use tokio::sync::watch;
use uncloud_wire::{
    JobId, QueueName,
    stream::{Envelope, StreamBackend, StreamConfig},
};

use super::{
    Runner,
    claim::{ClaimScope, Claimed, claim},
    db,
    events::Ended,
    job::JobState,
    kinds::Prepared,
    outbox,
};
use crate::{metrics::JobAttempt, request_context};

/// The interval of checks: notifications from other processes may get lost, and checking periodically limits the delay.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The result of one pass over the queues.
struct Round {
    /// True if more jobs may be available.
    more: bool,
    /// The time until a queue with a rate limit may start its next job.
    next_token: Option<Duration>,
}

pub(super) async fn run(runner: Runner, mut stop: watch::Receiver<bool>) {
    let (_, never) = watch::channel(false);
    let Ok(queue) = "relay".parse() else { return };
    let mut sink = StreamBackend::new(StreamConfig::new(runner.redis.clone(), queue, "relay".to_owned(), 1), never);
    let mut was_up = true;
    loop {
        // PostgreSQL must not be drained into a Redis that does not respond.
        let up = sink.responds().await;
        if up != was_up {
            if up {
                tracing::info!("Redis responds again; queued jobs are dispatched");
            } else {
                tracing::warn!("Redis does not respond; jobs are accepted and wait in PostgreSQL");
            }
            was_up = up;
        }
        let wait = if up {
            match dispatch(&runner, &mut sink).await {
                Ok(Round { more: true, .. }) => continue,
                Ok(Round { next_token, .. }) => {
                    let due = next_due(&runner).await.unwrap_or(LOOK_AGAIN);
                    next_token.map_or(due, |token| token.min(due))
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "could not dispatch jobs; retrying");
                    Duration::from_secs(1)
                }
            }
        } else {
            Duration::from_millis(500)
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = runner.wake.wait_for_queued(), if up => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Dispatches one batch: claim, prepare, commit, and only then push. If pushing fails, the rescuer queues the jobs
/// again.
async fn dispatch(runner: &Runner, sink: &mut StreamBackend) -> anyhow::Result<Round> {
    let mut tx = request_context::begin(&runner.pool).await?;
    let batch = claim(&mut tx, ClaimScope::Workers).await?;
    let round = Round { more: batch.full, next_token: batch.next_token };
    if batch.jobs.is_empty() {
        tx.commit().await?;
        return Ok(round);
    }
    // A later statement of the same transaction, so that it sees every change whose request joined one of these jobs.
    let prepared = runner.kinds.prepare(&mut tx, &batch.jobs).await?;
    let AppliedPrepared { envelopes, ended: Ended { finished, attempts } } =
        apply_prepared(&mut tx, batch.jobs, prepared).await?;
    tx.commit().await?;
    runner.metrics.note_attempts(attempts);
    for envelope in &envelopes {
        tracing::info!(job = envelope.job_id, kind = envelope.kind, queue = %envelope.queue,
            bytes = envelope.payload.len(), request = envelope.request_id, "job dispatched");
    }
    let queues: BTreeSet<QueueName> = envelopes.iter().map(|envelope| envelope.queue.clone()).collect();
    runner.wake.expect_events_of(&queues);
    let tasks = envelopes.into_iter().map(|envelope| TaskBuilder::new(envelope).build());
    sink.push_all(stream::iter(tasks)).await?;
    if finished.is_empty() {
        return Ok(round);
    }
    runner.finished(&finished).await?;
    Ok(Round { more: true, ..round }) // their children, and the jobs that they enqueued, are available
}

/// The outcome of prepared jobs, once the transaction has committed.
pub(super) struct AppliedPrepared {
    /// The envelopes for workers.
    pub envelopes: Vec<Envelope>,
    /// The jobs that ended without a worker.
    pub ended: Ended,
}

/// Applies the prepared results to the jobs' rows.
pub(super) async fn apply_prepared(
    tx: &mut PgConnection,
    jobs: Vec<Claimed>,
    prepared: Vec<Prepared>,
) -> anyhow::Result<AppliedPrepared> {
    let mut envelopes = Vec::with_capacity(jobs.len());
    let mut ended = Ended::default();
    for (job, prepared) in jobs.into_iter().zip(prepared) {
        let prepared = job.missed_parent().map_or(prepared, Prepared::Fail);
        let job_id = job.job_id;
        let outcome = match prepared {
            Prepared::Payload(payload) => {
                envelopes.push(job.envelope(payload)?);
                continue;
            }
            Prepared::Done { result, rest } => {
                let next = match rest {
                    Some(rest) => Some(outbox::enqueue_continuation(tx, job_id, &rest).await?),
                    None => None,
                };
                finish(tx, job_id, JobState::Succeeded, None, Some(&result)).await?;
                tracing::info!(job = job_id, kind = job.kind, %result, next, request = job.request_id, "job done by the server");
                ended.finished.push(job_id);
                "succeeded"
            }
            Prepared::Cancel(reason) => {
                refuse(tx, job_id, JobState::Revoked, &reason).await?;
                ended.finished.push(job_id);
                "revoked"
            }
            Prepared::Fail(reason) => {
                refuse(tx, job_id, JobState::Failed, &reason).await?;
                ended.finished.push(job_id);
                "failed"
            }
        };
        ended.attempts.push(JobAttempt { kind: job.kind, queue: job.queue, outcome, waited: None, ran: None });
    }
    db::release_children(tx, &ended.finished).await?;
    Ok(AppliedPrepared { envelopes, ended })
}

impl Claimed {
    fn envelope(self, payload: Vec<u8>) -> anyhow::Result<Envelope> {
        Ok(Envelope {
            queue: self.queue.parse()?,
            job_id: self.job_id,
            fence: self.fence,
            kind: self.kind,
            payload,
            soft_limit: self.soft_limit,
            hard_limit: self.hard_limit,
            request_id: self.request_id,
        })
    }
}

async fn refuse(tx: &mut PgConnection, job_id: JobId, state: JobState, reason: &str) -> sqlx::Result<()> {
    tracing::warn!(job = job_id, state = state.as_str(), reason, "job can't be dispatched");
    if state == JobState::Failed {
        db::close_attempt(tx, job_id, "failed", Some(reason)).await?;
    }
    finish(tx, job_id, state, Some(reason), None).await
}

async fn finish(
    tx: &mut PgConnection,
    job_id: JobId,
    state: JobState,
    error: Option<&str>,
    result: Option<&serde_json::Value>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update job set state = $2, error = $3, result = $4, finished_at = clock_timestamp() where job_id = $1",
        job_id,
        state.as_str(),
        error,
        result,
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Returns the time until the next job is available. A job that is available but waits for its duplicate or for capacity is woken
/// by the end of another job.
async fn next_due(runner: &Runner) -> Option<Duration> {
    let seconds = sqlx::query_scalar!(
        r#"select extract(epoch from run_at - now())::float8 as "seconds!" from job
           where state = 'queued' and waits_for = 0 and run_at at time zone 'UTC' > now() at time zone 'UTC'
           order by run_at at time zone 'UTC' limit 1"#
    )
    .fetch_optional(&runner.pool)
    .await
    .ok()??;
    Some(Duration::try_from_secs_f64(seconds).ok()?.clamp(Duration::from_millis(1), LOOK_AGAIN))
}
