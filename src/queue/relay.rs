//! Pushes due jobs from Postgres to Redis.

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
    claim::{Claimed, Whose, claim},
    db,
    events::Ended,
    job::JobState,
    kinds::Rendered,
    outbox,
};
use crate::{metrics::Attempt, request_context};

/// Wake-ups from other processes may get lost; looking now and then bounds what that costs.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What one look at the queues came to.
struct Round {
    /// There may be more that is due.
    more: bool,
    /// When a queue with a rate limit may have its next job.
    next_token: Option<Duration>,
}

pub(super) async fn run(runner: Runner, mut stop: watch::Receiver<bool>) {
    let (_, never) = watch::channel(false);
    let Ok(queue) = "relay".parse() else { return };
    let mut sink = StreamBackend::new(StreamConfig::new(runner.redis.clone(), queue, "relay".to_owned(), 1), never);
    let mut was_up = true;
    loop {
        // Postgres must not be drained into a Redis that does not answer.
        let up = sink.answers().await;
        if up != was_up {
            if up {
                tracing::info!("Redis is back; queued jobs go out");
            } else {
                tracing::warn!("Redis does not answer; jobs are accepted and wait in Postgres");
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
                    tracing::warn!(error = format!("{error:#}"), "could not dispatch jobs; trying again");
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

/// One batch: claim, render, commit, and only then push. If pushing fails, the sweep takes the jobs back.
async fn dispatch(runner: &Runner, sink: &mut StreamBackend) -> anyhow::Result<Round> {
    let mut tx = request_context::begin(&runner.pool).await?;
    let batch = claim(&mut tx, Whose::Workers).await?;
    let round = Round { more: batch.full, next_token: batch.next_token };
    if batch.jobs.is_empty() {
        tx.commit().await?;
        return Ok(round);
    }
    // A later statement of the same transaction, so that it sees every change whose job was joined to these.
    let rendered = runner.kinds.render(&mut tx, &batch.jobs).await?;
    let Concluded { envelopes, ended: Ended { finished, attempts } } = conclude(&mut tx, batch.jobs, rendered).await?;
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
    Ok(Round { more: true, ..round }) // their children, and what they have enqueued, are due
}

/// What becomes of rendered jobs, when the transaction has been committed.
pub(super) struct Concluded {
    /// For workers.
    pub envelopes: Vec<Envelope>,
    /// Ended here.
    pub ended: Ended,
}

/// Makes the jobs what their rendering says.
pub(super) async fn conclude(
    tx: &mut PgConnection,
    jobs: Vec<Claimed>,
    rendered: Vec<Rendered>,
) -> anyhow::Result<Concluded> {
    let mut envelopes = Vec::with_capacity(jobs.len());
    let mut ended = Ended::default();
    for (job, rendered) in jobs.into_iter().zip(rendered) {
        let rendered = job.missed_parent().map_or(rendered, Rendered::Impossible);
        let job_id = job.job_id;
        let outcome = match rendered {
            Rendered::Payload(payload) => {
                envelopes.push(job.envelope(payload)?);
                continue;
            }
            Rendered::Done { result, rest } => {
                let next = match rest {
                    Some(rest) => Some(outbox::go_on(tx, job_id, &rest).await?),
                    None => None,
                };
                finish(tx, job_id, JobState::Succeeded, None, Some(&result)).await?;
                tracing::info!(job = job_id, kind = job.kind, %result, next, request = job.request_id, "job done here");
                ended.finished.push(job_id);
                "succeeded"
            }
            Rendered::Obsolete(reason) => {
                refuse(tx, job_id, JobState::Revoked, &reason).await?;
                ended.finished.push(job_id);
                "revoked"
            }
            Rendered::Impossible(reason) => {
                refuse(tx, job_id, JobState::Failed, &reason).await?;
                ended.finished.push(job_id);
                "failed"
            }
        };
        ended.attempts.push(Attempt { kind: job.kind, queue: job.queue, outcome, waited: None, ran: None });
    }
    db::release_children(tx, &ended.finished).await?;
    Ok(Concluded { envelopes, ended })
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

/// Until the next job is due. What is due already but waits for its twin or for room is woken by what ends.
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
