//! Takes what workers report and makes it the jobs' state.
//!
//! Events are read from the start of their streams and deleted once they are committed: no consumer group, no
//! cursor, nothing to take over from a server that died. Two servers may read one event; the first changes the
//! row, the second finds nothing left to change.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use redis::{
    AsyncCommands as _,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamKey, StreamReadOptions, StreamReadReply},
};
use ring::rand::SystemRandom;
use serde_json::Value;
use sqlx::PgConnection;
use tokio::sync::watch;

use super::{
    JobId, JobState, QueueName, Runner, Settled,
    backend::{Outcome, blocking, clean},
    db,
    job::jitter,
    wake,
};

const BLOCK: Duration = Duration::from_secs(5);
/// Events of one queue in one transaction.
const BATCH: usize = 500;

/// What a worker said of one dispatch.
struct Event {
    job_id: JobId,
    fence: i64,
    outcome: Outcome,
    body: String,
    worker: String,
}

/// A row whose worker reported success.
#[derive(Debug)]
pub struct Succeeded {
    /// The row.
    pub job_id: JobId,
    /// Whose work it was.
    pub queue: String,
    /// What it did.
    pub kind: String,
    /// Whom it is about.
    pub payload: Value,
    /// What the worker reported.
    pub result: Value,
}

pub(super) async fn run(runner: Runner, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            result = consume(&runner) => {
                if let Err(error) = result {
                    tracing::warn!(error = format!("{error:#}"), "could not take workers' reports; trying again");
                }
            }
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

/// Reads until something fails. A read that is dropped halfway leaves its connection unusable, so a new queue
/// means a new connection; reading from the start, nothing can be lost by that.
async fn consume(runner: &Runner) -> anyhow::Result<()> {
    let mut queues = runner.wake.queues();
    loop {
        let mut connection = blocking(&runner.redis, BLOCK).await?;
        let mut looked_at: Option<Instant> = None;
        loop {
            // Queues that other servers, or this one in an earlier life, have dispatched to.
            if looked_at.is_none_or(|at| at.elapsed() >= BLOCK) {
                runner.wake.expect_events_of(&queues_in_flight(runner).await?);
                looked_at = Some(Instant::now());
            }
            let watched: Vec<QueueName> = queues.borrow_and_update().iter().cloned().collect();
            tokio::select! {
                result = read_and_apply(runner, &mut connection, &watched), if !watched.is_empty() => result?,
                changed = queues.changed() => {
                    changed?;
                    break;
                }
                () = tokio::time::sleep(BLOCK), if watched.is_empty() => {}
            }
        }
    }
}

async fn queues_in_flight(runner: &Runner) -> anyhow::Result<BTreeSet<QueueName>> {
    let names = sqlx::query_scalar!("select distinct queue from job where state in ('dispatched', 'running')")
        .fetch_all(&runner.pool)
        .await?;
    Ok(names.into_iter().map(|name| name.parse()).collect::<Result<_, _>>()?)
}

async fn read_and_apply(
    runner: &Runner,
    connection: &mut MultiplexedConnection,
    queues: &[QueueName],
) -> anyhow::Result<()> {
    let by_key: HashMap<String, &QueueName> = queues.iter().map(|queue| (queue.events_key(), queue)).collect();
    let keys: Vec<&String> = by_key.keys().collect();
    let block_millis = usize::try_from(BLOCK.as_millis())?;
    let options = StreamReadOptions::default().count(BATCH).block(block_millis);
    let reply: Option<StreamReadReply> = connection.xread_options(&keys, &vec!["0"; keys.len()], &options).await?;
    for StreamKey { key, ids } in reply.into_iter().flat_map(|reply| reply.keys) {
        let Some(queue) = by_key.get(&key) else { continue };
        let events = ids.iter().filter_map(|entry| parse(queue, entry)).collect();
        let finished = apply(runner, queue, events).await?;
        if !finished.is_empty() {
            wake::announce_finished(runner, &finished).await?;
        }
        // A twin may have waited for one of these, or one of them waits for its next attempt.
        runner.wake.queued();
        let entries: Vec<&String> = ids.iter().map(|entry| &entry.id).collect();
        connection.xdel::<_, _, ()>(&key, &entries).await?;
    }
    Ok(())
}

fn parse(queue: &QueueName, entry: &StreamId) -> Option<Event> {
    let event = (|| {
        Some(Event {
            job_id: entry.get("job")?,
            fence: entry.get("fence")?,
            outcome: Outcome::parse(&entry.get::<String>("outcome")?)?,
            body: entry.get("body")?,
            worker: clean(&entry.get::<String>("worker").unwrap_or_default()),
        })
    })();
    if event.is_none() {
        tracing::error!(%queue, entry = entry.id, "a worker's report can't be read and is dropped; does its version fit?");
    }
    event
}

/// One transaction; returns what became final. Each statement looks at queue, fence and state: a host can only
/// report on its own jobs, and of several results the first wins.
async fn apply(runner: &Runner, queue: &QueueName, events: Vec<Event>) -> sqlx::Result<Vec<JobId>> {
    let mut seen = HashSet::new();
    let (mut running, mut succeeded, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for event in events {
        match event.outcome {
            Outcome::Running => running.push(event),
            _ if !seen.insert((event.job_id, event.fence)) => {} // reported twice: the first counts
            Outcome::Succeeded => match result_of(&event) {
                Ok(result) => succeeded.push((event, result)),
                Err(error) => failed.push(Event { outcome: Outcome::Failed, body: error, ..event }),
            },
            Outcome::Retry | Outcome::Failed => failed.push(event),
        }
    }
    let mut tx = runner.pool.begin().await?;
    let mut finished = Vec::new();
    mark_running(&mut tx, queue, &running).await?;
    mark_succeeded(runner, &mut tx, queue, succeeded, &mut finished).await?;
    let random = SystemRandom::new();
    for event in failed {
        mark_failed(runner, &mut tx, queue, &event, &random, &mut finished).await?;
    }
    tx.commit().await?;
    Ok(finished)
}

/// Postgres' jsonb can't hold the character NUL.
fn result_of(event: &Event) -> Result<Value, String> {
    if event.body.contains("\\u0000") {
        return Err("its worker reported a result with a NUL character".to_owned());
    }
    serde_json::from_str(&event.body).map_err(|error| format!("its worker reported a result that is no JSON: {error}"))
}

async fn mark_running(tx: &mut PgConnection, queue: &QueueName, events: &[Event]) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let jobs: Vec<i64> = events.iter().map(|event| event.job_id).collect();
    let fences: Vec<i64> = events.iter().map(|event| event.fence).collect();
    let workers: Vec<String> = events.iter().map(|event| event.worker.clone()).collect();
    sqlx::query!(
        "update job set state = 'running', worker = event.worker, seen_at = clock_timestamp()
         from unnest($1::bigint[], $2::bigint[], $3::text[]) as event (job_id, fence, worker)
         where job.job_id = event.job_id and job.fence = event.fence and queue = $4
             and state in ('dispatched', 'running')",
        &jobs,
        &fences,
        &workers,
        queue.as_str(),
    )
    .execute(tx)
    .await
    .map(drop)
}

async fn mark_succeeded(
    runner: &Runner,
    tx: &mut PgConnection,
    queue: &QueueName,
    events: Vec<(Event, Value)>,
    finished: &mut Vec<JobId>,
) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = events.iter().map(|(event, _)| event.job_id).collect();
    let fences: Vec<i64> = events.iter().map(|(event, _)| event.fence).collect();
    let workers: Vec<String> = events.iter().map(|(event, _)| event.worker.clone()).collect();
    let results: Vec<Value> = events.into_iter().map(|(_, result)| result).collect();
    let jobs = sqlx::query_as!(
        Succeeded,
        r#"update job set state = 'succeeded', worker = event.worker, result = event.result, error = null,
               finished_at = clock_timestamp()
           from unnest($1::bigint[], $2::bigint[], $3::text[], $4::jsonb[]) as event (job_id, fence, worker, result)
           where job.job_id = event.job_id and job.fence = event.fence and queue = $5
               and state in ('dispatched', 'running')
           returning job.job_id, queue, kind, payload, job.result as "result!""#,
        &ids,
        &fences,
        &workers,
        &results,
        queue.as_str(),
    )
    .fetch_all(&mut *tx)
    .await?;
    for job in jobs {
        match runner.kinds.settle(tx, &job).await? {
            Settled::Done => tracing::info!(job = job.job_id, kind = job.kind, %queue, "job succeeded"),
            Settled::Unreadable(error) => {
                tracing::error!(job = job.job_id, kind = job.kind, %queue, error, "job's result can't be used");
                sqlx::query!("update job set state = 'failed', error = $2 where job_id = $1", job.job_id, error)
                    .execute(&mut *tx)
                    .await?;
            }
        }
        finished.push(job.job_id);
    }
    Ok(())
}

/// One at a time, because a retry may have to give way to a twin. Failures are few.
async fn mark_failed(
    runner: &Runner,
    tx: &mut PgConnection,
    queue: &QueueName,
    event: &Event,
    random: &SystemRandom,
    finished: &mut Vec<JobId>,
) -> sqlx::Result<()> {
    let error = clean(&event.body);
    let row = sqlx::query!(
        "update job set failures = failures + 1, worker = nullif($4, ''), error = $5
         where job_id = $1 and fence = $2 and queue = $3 and state in ('dispatched', 'running')
         returning kind, failures, unique_key",
        event.job_id,
        event.fence,
        queue.as_str(),
        event.worker,
        error,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(()) };
    // A kind that this program does not know was enqueued by a newer one; that one may try again.
    let policy = runner.kinds.policy(&row.kind);
    if let Some(policy) = policy.filter(|policy| event.outcome == Outcome::Retry && row.failures < policy.max_failures)
    {
        let after = policy.backoff(row.failures, jitter(random));
        let state = db::requeue(tx, event.job_id, row.unique_key.as_deref(), after, None).await?;
        tracing::warn!(job = event.job_id, kind = row.kind, %queue, error, failures = row.failures, retry_in = ?after, "job failed; it runs again");
        if state == JobState::Superseded {
            finished.push(event.job_id);
        }
        return Ok(());
    }
    sqlx::query!("update job set state = 'failed', finished_at = clock_timestamp() where job_id = $1", event.job_id)
        .execute(tx)
        .await?;
    tracing::error!(job = event.job_id, kind = row.kind, %queue, error, failures = row.failures, "job failed for good");
    finished.push(event.job_id);
    Ok(())
}
