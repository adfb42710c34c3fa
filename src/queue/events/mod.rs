//! Consumes workers' events and applies them to the jobs' rows.
//!
//! Events are read from the start of their streams and deleted once they are committed: no consumer group, no cursor,
//! nothing to take over from a server that died. Two servers may read the same event; the first one changes the row,
//! the second one finds nothing left to change.

mod apply;
mod event;

pub(super) use apply::mark_ended;
pub use event::Succeeded;
pub(super) use event::{Ended, Event};

use std::{
    collections::{BTreeSet, HashMap},
    slice,
    time::{Duration, Instant},
};

use redis::{
    AsyncCommands as _,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamKey, StreamReadOptions, StreamReadReply},
};
use tokio::sync::watch;
use uncloud_wire::{
    QueueName,
    stream::{Outcome, blocking, clean},
};

use super::{Runner, reports};

const BLOCK: Duration = Duration::from_secs(5);
/// The number of events of one queue in one transaction.
const BATCH: usize = 500;

/// The longest wait for a next attempt: no job has a reason to wait longer, and timestamps have a limit.
const LONGEST: Duration = Duration::from_hours(50 * 365 * 24);

pub(super) async fn run(runner: Runner, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            result = consume(&runner) => {
                if let Err(error) = result {
                    tracing::warn!(error = format!("{error:#}"), "could not read workers' reports; retrying");
                }
            }
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

/// Reads until an error occurs. A cancelled read leaves its connection unusable, so a new queue means a new connection;
/// since each connection reads from the start, nothing is lost by that.
async fn consume(runner: &Runner) -> anyhow::Result<()> {
    let mut queues = runner.wake.queues();
    loop {
        let mut connection = blocking(&runner.redis, BLOCK).await?;
        let mut looked_at: Option<Instant> = None;
        loop {
            // Queues to which other servers, or an earlier process of this one, have dispatched jobs.
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

/// The streams that a worker writes: events are the jobs' state and must not get lost; reports are news that the next
/// one replaces.
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
        if let Some(&(queue, stream)) = by_key.get(&key) {
            take(runner, queue, stream, &ids).await?;
        }
        let entries: Vec<&String> = ids.iter().map(|entry| &entry.id).collect();
        connection.xdel::<_, _, ()>(&key, &entries).await?;
    }
    Ok(())
}

/// Applies entries together, or one by one if the database refuses their content. A host may write anything: no entry
/// may stop the server from reading later entries, or those of other hosts.
async fn take(runner: &Runner, queue: &QueueName, stream: Stream, entries: &[StreamId]) -> anyhow::Result<()> {
    match take_together(runner, queue, stream, entries).await {
        Err(error) if is_refusal(&error) => {}
        taken => return taken,
    }
    for entry in entries {
        match take_together(runner, queue, stream, slice::from_ref(entry)).await {
            Err(error) if is_refusal(&error) => {
                let error = format!("{error:#}");
                tracing::error!(%queue, entry = entry.id, error, "the database refuses a worker's report");
                if let (Stream::Events, Some(event)) = (stream, parse(queue, entry)) {
                    // The database would refuse it again, so the job must not be retried.
                    let body = "the database refuses the worker's report; read the server's log".to_owned();
                    take_events(runner, queue, vec![Event { outcome: Outcome::Failed, body, ..event }]).await?;
                }
            }
            taken => taken?,
        }
    }
    Ok(())
}

async fn take_together(runner: &Runner, queue: &QueueName, stream: Stream, entries: &[StreamId]) -> anyhow::Result<()> {
    match stream {
        Stream::Events => {
            take_events(runner, queue, entries.iter().filter_map(|entry| parse(queue, entry)).collect()).await
        }
        Stream::Reports => Ok(reports::apply(runner, queue, entries).await?),
    }
}

async fn take_events(runner: &Runner, queue: &QueueName, events: Vec<Event>) -> anyhow::Result<()> {
    let finished = apply::apply(runner, queue, events).await?;
    if !finished.is_empty() {
        runner.finished(&finished).await?;
    }
    // A duplicate may have waited for one of these, or one of them waits for its next attempt.
    runner.wake.queued();
    Ok(())
}

/// Returns true if the database refuses a value: no column accepts it (22), it violates a constraint (23), occurs twice
/// (21) or is too large (54).
fn is_refusal(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Encode(_)) => true,
        Some(sqlx::Error::Database(error)) => {
            error.code().is_some_and(|code| ["21", "22", "23", "54"].iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}

fn parse(queue: &QueueName, entry: &StreamId) -> Option<Event> {
    let event = (|| {
        Some(Event {
            job_id: entry.get("job")?,
            fence: entry.get("fence")?,
            delivery: entry.get("delivery").unwrap_or(1),
            outcome: Outcome::parse(&entry.get::<String>("outcome")?)?,
            body: entry.get("body")?,
            worker: clean(&entry.get::<String>("worker").unwrap_or_default()),
            duration_ms: entry.get("took"),
            after: Duration::from_millis(entry.get("after").unwrap_or_default()).min(LONGEST),
        })
    })();
    if event.is_none() {
        tracing::error!(%queue, entry = entry.id, "a worker's report can't be read and is dropped; check that worker and server have the same version");
    }
    event
}
