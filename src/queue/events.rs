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
    job::{backoff, jitter},
    name::SERVER,
    reports,
};
use crate::{metrics::Attempt, origin};

const BLOCK: Duration = Duration::from_secs(5);
/// Events of one queue in one transaction.
const BATCH: usize = 500;

/// What a worker said of one dispatch.
pub(super) struct Event {
    job_id: JobId,
    fence: i64,
    outcome: Outcome,
    body: String,
    worker: String,
    /// How long the handler ran; none when it never began.
    took_ms: Option<i32>,
    /// How long a job wants to be left alone.
    after: Duration,
}

impl Event {
    /// Of a job that a server itself could not do.
    pub(super) fn failure(job_id: JobId, fence: i64, error: String) -> Self {
        let worker = SERVER.to_owned();
        Self { job_id, fence, outcome: Outcome::Retry, body: error, worker, took_ms: None, after: Duration::ZERO }
    }
}

/// What came to its end in a transaction.
#[derive(Default)]
pub(super) struct Ended {
    /// Jobs of which nothing more will come.
    pub finished: Vec<JobId>,
    /// For the metrics.
    pub attempts: Vec<Attempt>,
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

/// What a worker writes: events are the jobs' state and must not get lost, reports are news that the next one replaces.
#[derive(Clone, Copy)]
enum Stream {
    Events,
    Reports,
}

async fn read_and_apply(
    runner: &Runner,
    connection: &mut MultiplexedConnection,
    queues: &[QueueName],
) -> anyhow::Result<()> {
    let events = queues.iter().map(|queue| (queue.events_key(), (queue, Stream::Events)));
    let reports = queues.iter().map(|queue| (queue.reports_key(), (queue, Stream::Reports)));
    let by_key: HashMap<String, (&QueueName, Stream)> = events.chain(reports).collect();
    let keys: Vec<&String> = by_key.keys().collect();
    let block_millis = usize::try_from(BLOCK.as_millis())?;
    let options = StreamReadOptions::default().count(BATCH).block(block_millis);
    let reply: Option<StreamReadReply> = connection.xread_options(&keys, &vec!["0"; keys.len()], &options).await?;
    for StreamKey { key, ids } in reply.into_iter().flat_map(|reply| reply.keys) {
        match by_key.get(&key) {
            Some((queue, Stream::Events)) => {
                let events = ids.iter().filter_map(|entry| parse(queue, entry)).collect();
                let finished = apply(runner, queue, events).await?;
                if !finished.is_empty() {
                    runner.finished(&finished).await?;
                }
                // A twin may have waited for one of these, or one of them waits for its next attempt.
                runner.wake.queued();
            }
            Some((queue, Stream::Reports)) => reports::apply(runner, queue, &ids).await?,
            None => {}
        }
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
            took_ms: entry.get("took"),
            after: Duration::from_millis(entry.get("after").unwrap_or_default()),
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
    let (mut running, mut succeeded, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for event in events {
        match event.outcome {
            Outcome::Running => running.push(event),
            _ if !seen.insert((event.job_id, event.fence)) => {} // reported twice: the first counts
            Outcome::Succeeded => match result_of(&event) {
                Ok(result) => succeeded.push((event, result)),
                Err(error) => others.push(Event { outcome: Outcome::Failed, body: error, ..event }),
            },
            Outcome::Retry | Outcome::Snooze | Outcome::Failed | Outcome::Revoked => others.push(event),
        }
    }
    let mut tx = origin::begin(&runner.pool).await?;
    let mut ended = Ended::default();
    mark_running(&mut tx, queue, &running).await?;
    mark_succeeded(runner, &mut tx, queue, succeeded, &mut ended).await?;
    let random = SystemRandom::new();
    for event in others {
        mark_ended(&mut tx, queue, &event, &random, &mut ended).await?;
    }
    db::release_children(&mut tx, &ended.finished).await?;
    tx.commit().await?;
    runner.metrics.note_attempts(ended.attempts);
    Ok(ended.finished)
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
        "update job set state = 'running', worker = event.worker, seen_at = clock_timestamp(),
             running_at = coalesce(running_at, clock_timestamp())
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
    ended: &mut Ended,
) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = events.iter().map(|(event, _)| event.job_id).collect();
    let fences: Vec<i64> = events.iter().map(|(event, _)| event.fence).collect();
    let workers: Vec<String> = events.iter().map(|(event, _)| event.worker.clone()).collect();
    let took: Vec<Option<i32>> = events.iter().map(|(event, _)| event.took_ms).collect();
    let results: Vec<Value> = events.into_iter().map(|(_, result)| result).collect();
    let rows = sqlx::query!(
        r#"update job set state = 'succeeded', worker = event.worker, result = event.result, error = null,
               took_ms = event.took_ms, finished_at = clock_timestamp()
           from unnest($1::bigint[], $2::bigint[], $3::text[], $4::jsonb[], $6::integer[])
               as event (job_id, fence, worker, result, took_ms)
           where job.job_id = event.job_id and job.fence = event.fence and queue = $5
               and state in ('dispatched', 'running')
           returning job.job_id, kind, payload, job.result as "result!", job.took_ms,
               extract(epoch from finished_at - run_at)::float8 as "since_due!""#,
        &ids,
        &fences,
        &workers,
        &results,
        queue.as_str(),
        &took as &[Option<i32>],
    )
    .fetch_all(&mut *tx)
    .await?;
    for row in rows {
        let (waited, ran) = times(row.since_due, row.took_ms);
        let (kind, payload, result) = (row.kind, row.payload, row.result);
        let job = Succeeded { job_id: row.job_id, queue: queue.as_str().to_owned(), kind, payload, result };
        let outcome = match runner.kinds.settle(tx, &job).await? {
            Settled::Done => {
                tracing::info!(job = job.job_id, kind = job.kind, %queue, "job succeeded");
                "succeeded"
            }
            Settled::Unreadable(error) => {
                tracing::error!(job = job.job_id, kind = job.kind, %queue, error, "job's result can't be used");
                sqlx::query!("update job set state = 'failed', error = $2 where job_id = $1", job.job_id, error)
                    .execute(&mut *tx)
                    .await?;
                "failed"
            }
        };
        ended.finished.push(job.job_id);
        ended.attempts.push(Attempt { kind: job.kind, queue: job.queue, outcome, waited, ran });
    }
    Ok(())
}

/// How long a job waited before it began, and how long it ran, when it began at all.
fn times(secs_since_due: f64, took_ms: Option<i32>) -> (Option<Duration>, Option<Duration>) {
    let Some(ran) = took_ms.and_then(|millis| millis.try_into().ok()).map(Duration::from_millis) else {
        return (None, None);
    };
    let since_due = Duration::try_from_secs_f64(secs_since_due).unwrap_or_default();
    (Some(since_due.saturating_sub(ran)), Some(ran))
}

/// One at a time, because a retry may have to give way to a twin. These are few.
pub(super) async fn mark_ended(
    tx: &mut PgConnection,
    queue: &QueueName,
    event: &Event,
    random: &SystemRandom,
    ended: &mut Ended,
) -> sqlx::Result<()> {
    let error = clean(&event.body);
    let counts = matches!(event.outcome, Outcome::Retry | Outcome::Failed);
    let row = sqlx::query!(
        "update job set failures = failures + $6::boolean::integer, worker = nullif($4, ''), error = $5, took_ms = $7
         where job_id = $1 and fence = $2 and queue = $3 and state in ('dispatched', 'running')
         returning kind, failures, max_failures, backoff_base_ms, backoff_max_ms,
             extract(epoch from clock_timestamp() - run_at)::float8 as \"since_due!\"",
        event.job_id,
        event.fence,
        queue.as_str(),
        event.worker,
        error,
        counts,
        event.took_ms,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let (job, kind, failures) = (event.job_id, &row.kind, row.failures);
    let state = match event.outcome {
        Outcome::Snooze => {
            db::close_attempt(tx, job, "snoozed", Some(&error)).await?;
            tracing::info!(job, kind, %queue, reason = error, again_in = ?event.after, "job waits");
            db::requeue(tx, job, event.after, None).await?
        }
        Outcome::Retry if failures < row.max_failures => {
            db::close_attempt(tx, job, "retry", Some(&error)).await?;
            let millis = |millis: i32| Duration::from_millis(millis.try_into().unwrap_or_default());
            let after = backoff(millis(row.backoff_base_ms), millis(row.backoff_max_ms), failures, jitter(random));
            tracing::warn!(job, kind, %queue, error, failures, retry_in = ?after, "job failed; it runs again");
            db::requeue(tx, job, after, None).await?
        }
        Outcome::Revoked => {
            db::close_attempt(tx, job, "revoked", None).await?;
            db::revoke(tx, &[job], &error).await?;
            tracing::warn!(job, kind, %queue, "job withdrawn");
            JobState::Revoked
        }
        Outcome::Retry | Outcome::Failed | Outcome::Running | Outcome::Succeeded => {
            db::close_attempt(tx, job, "failed", Some(&error)).await?;
            sqlx::query!("update job set state = 'failed', finished_at = clock_timestamp() where job_id = $1", job)
                .execute(tx)
                .await?;
            tracing::error!(job, kind, %queue, error, failures, "job failed for good");
            JobState::Failed
        }
    };
    if state.is_final() {
        ended.finished.push(job);
    }
    let (waited, ran) = times(row.since_due, event.took_ms);
    let outcome = match event.outcome {
        Outcome::Snooze => "snoozed",
        Outcome::Revoked => "revoked",
        _ if state == JobState::Failed => "failed",
        _ => "retry",
    };
    ended.attempts.push(Attempt { kind: row.kind, queue: queue.as_str().to_owned(), outcome, waited, ran });
    Ok(())
}
