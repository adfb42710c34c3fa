//! Pushes due jobs from Postgres to Redis.

use std::{collections::BTreeSet, time::Duration};

use apalis_core::{backend::TaskSink as _, task::builder::TaskBuilder};
use futures_util::stream;
use serde_json::Value;
use sqlx::PgConnection;
use tokio::sync::watch;

use super::{
    JobId, QueueName, Rendered, Runner,
    backend::{Envelope, StreamBackend, StreamConfig},
};

/// Jobs claimed in one transaction. Small, because each may carry a large payload.
const BATCH: i64 = 64;
/// Wake-ups from other processes may get lost; looking now and then bounds what that costs.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// A row that is about to be dispatched.
#[derive(Debug)]
pub struct Claimed {
    /// The row.
    pub job_id: JobId,
    /// Whose work it is.
    pub queue: String,
    /// What to do.
    pub kind: String,
    /// Whom it is about.
    pub payload: Value,
    /// Names this dispatch.
    pub fence: i64,
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
                Ok(count) if count >= usize::try_from(BATCH).unwrap_or(usize::MAX) => continue,
                Ok(_) => next_due(&runner).await.unwrap_or(LOOK_AGAIN),
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
async fn dispatch(runner: &Runner, sink: &mut StreamBackend) -> anyhow::Result<usize> {
    let mut tx = runner.pool.begin().await?;
    let claimed = claim(&mut tx).await?;
    if claimed.is_empty() {
        return Ok(0);
    }
    // A later statement of the same transaction, so that it sees every change whose job was joined to these.
    let rendered = runner.kinds.render(&mut tx, &claimed).await?;
    let count = claimed.len();
    let mut envelopes = Vec::with_capacity(count);
    for (job, rendered) in claimed.into_iter().zip(rendered) {
        match rendered {
            Rendered::Payload(payload) => envelopes.push(Envelope {
                queue: job.queue.parse()?,
                job_id: job.job_id,
                fence: job.fence,
                kind: job.kind,
                payload,
            }),
            Rendered::Obsolete(reason) => finish(&mut tx, job.job_id, "revoked", &reason).await?,
            Rendered::Impossible(reason) => finish(&mut tx, job.job_id, "failed", &reason).await?,
        }
    }
    tx.commit().await?;
    for envelope in &envelopes {
        tracing::info!(job = envelope.job_id, kind = envelope.kind, queue = %envelope.queue,
            bytes = envelope.payload.len(), "job dispatched");
    }
    runner
        .wake
        .expect_events_of(&envelopes.iter().map(|envelope| envelope.queue.clone()).collect::<BTreeSet<QueueName>>());
    let tasks = envelopes.into_iter().map(|envelope| TaskBuilder::new(envelope).build());
    sink.push_all(stream::iter(tasks)).await?;
    Ok(count)
}

async fn claim(tx: &mut PgConnection) -> sqlx::Result<Vec<Claimed>> {
    let mut claimed = sqlx::query_as!(
        Claimed,
        r#"with due as (
             select job_id from job
             where state = 'queued' and run_at <= now() and not exists (
                 select from job busy
                 where busy.unique_key = job.unique_key and busy.state in ('dispatched', 'running'))
             order by run_at, job_id limit $1 for update skip locked)
         update job set state = 'dispatched', attempt = attempt + 1,
             dispatched_at = clock_timestamp(), seen_at = clock_timestamp()
         from due where job.job_id = due.job_id
         returning job.job_id, queue, kind, payload, fence as "fence!""#,
        BATCH,
    )
    .fetch_all(tx)
    .await?;
    claimed.sort_by_key(|job| job.job_id); // RETURNING has no order
    Ok(claimed)
}

async fn finish(tx: &mut PgConnection, job_id: JobId, state: &str, reason: &str) -> sqlx::Result<()> {
    tracing::warn!(job = job_id, state, reason, "job can't be dispatched");
    sqlx::query!(
        "update job set state = $2, error = $3, finished_at = clock_timestamp() where job_id = $1",
        job_id,
        state,
        reason
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Until the next retry is due. What is due already but waits for its twin is woken by the twin's end.
async fn next_due(runner: &Runner) -> Option<Duration> {
    let seconds = sqlx::query_scalar!(
        r#"select extract(epoch from min(run_at) - now())::float8 as "seconds" from job
           where state = 'queued' and run_at > now()"#
    )
    .fetch_one(&runner.pool)
    .await
    .ok()??;
    Some(Duration::try_from_secs_f64(seconds).ok()?.clamp(Duration::from_millis(1), LOOK_AGAIN))
}
