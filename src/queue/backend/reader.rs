//! Reads jobs: as many as there are free slots, new ones and those of dead workers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{
    AsyncCommands as _, RedisError,
    aio::MultiplexedConnection,
    streams::{StreamClaimReply, StreamId, StreamPendingCountReply, StreamReadOptions, StreamReadReply},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::{
    Envelope, GROUP, MAX_PENDING, Running, StreamConfig,
    ack::{Ack, Delivered, Outcome},
    connection::blocking,
    lease::{Delivery, Held},
    report::{self, State},
};
use crate::queue::QueueName;

const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

pub(super) struct Reader {
    config: Arc<StreamConfig>,
    deliveries: mpsc::Sender<Delivery>,
    state: Arc<State>,
    acks: mpsc::UnboundedSender<Ack>,
    stop: watch::Receiver<bool>,
    connection: Option<MultiplexedConnection>,
    /// When to look again for jobs whose worker went silent.
    claim_at: Instant,
}

/// What was read, and how often it has been delivered by now.
struct Entry {
    stream_id: StreamId,
    deliveries: usize,
}

impl Entry {
    /// None of what can't be read so far.
    fn whose(&self) -> Option<Delivered> {
        let (job_id, fence) = (self.stream_id.get("job")?, self.stream_id.get("fence")?);
        Some(Delivered { job_id, fence, deliveries: self.deliveries })
    }
}

impl Reader {
    pub(super) fn new(
        config: Arc<StreamConfig>,
        deliveries: mpsc::Sender<Delivery>,
        state: Arc<State>,
        acks: mpsc::UnboundedSender<Ack>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self { config, deliveries, state, acks, stop, connection: None, claim_at: Instant::now() }
    }

    pub(super) async fn run(mut self) {
        let mut stop = self.stop.clone();
        let mut backoff = FIRST_BACKOFF;
        loop {
            let permits = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                permits = self.state.slots.free() => permits,
            };
            let result = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                result = self.read(permits.len()) => result,
            };
            match result {
                Ok(entries) => {
                    backoff = FIRST_BACKOFF;
                    if self.deliver(entries, permits).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    self.connection = None;
                    // If Redis was away, nobody could renew: first all the others have their heartbeats.
                    self.claim_at = Instant::now() + self.config.lease + self.config.lease / 3;
                    tracing::warn!(queue = %self.config.queue, %error, retry_in = ?backoff, "could not read jobs from Redis");
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => return,
                        () = tokio::time::sleep(backoff) => {}
                    }
                    backoff = (backoff * 2).min(LONGEST_BACKOFF);
                }
            }
        }
    }

    /// Up to `count` entries; empty when none came for a while.
    async fn read(&mut self, count: usize) -> Result<Vec<Entry>, RedisError> {
        let block = self.config.lease / 3;
        let connection = match &mut self.connection {
            Some(connection) => connection,
            empty => empty.insert(blocking(&self.config.redis, block).await?),
        };
        let result = async {
            if Instant::now() >= self.claim_at {
                let entries = claim(&self.config, &self.state, connection, count).await?;
                self.claim_at = Instant::now() + block;
                if !entries.is_empty() {
                    return Ok(entries);
                }
            }
            read_new(&self.config, connection, count, block).await
        }
        .await;
        match result {
            // Redis is new or was emptied.
            Err(error) if error.code() == Some("NOGROUP") => {
                create_group(&self.config.queue, connection).await.map(|()| Vec::new())
            }
            result => result,
        }
    }

    async fn deliver(&self, entries: Vec<Entry>, mut permits: Vec<OwnedSemaphorePermit>) -> Result<(), ()> {
        for entry in entries {
            let id = entry.stream_id.id.clone();
            let whose = entry.whose();
            let envelope = match parse(&self.config.queue, &entry.stream_id) {
                Ok(envelope) if self.state.is_revoked(envelope.job_id, envelope.fence) => {
                    let reason = "withdrawn by staff before it ran".to_owned();
                    self.refuse(Ack::refusal(id, whose, Outcome::Revoked, reason));
                    continue;
                }
                Ok(envelope) if entry.deliveries <= self.config.max_deliveries => envelope,
                Ok(_) => {
                    let died = entry.deliveries - 1;
                    let error = format!(
                        "its worker died {died} times while it ran; look at the worker's log, then run it again"
                    );
                    self.refuse(Ack::refusal(id, whose, Outcome::Failed, error));
                    continue;
                }
                Err(error) => {
                    self.refuse(Ack::refusal(id, whose, Outcome::Failed, error));
                    continue;
                }
            };
            let Some(slot) = permits.pop() else { continue };
            let news = Arc::clone(&self.state.news);
            let lease = self.state.leases.take(id, &envelope, slot, entry.deliveries, news);
            self.deliveries.send(Delivery { envelope, lease }).await.map_err(drop)?;
        }
        Ok(())
    }

    fn refuse(&self, ack: Ack) {
        tracing::error!(queue = %self.config.queue, job = ack.whose.map(|whose| whose.job_id), outcome = ack.outcome.as_str(), reason = %ack.body, "job refused");
        // The receiver only ends with the process.
        let _ = self.acks.send(ack);
    }
}

/// Takes over what no worker has renewed for a lease. Of those that may be tried only once more, one at a time: a job that
/// kills its workers would otherwise take with it, time after time, what was taken over beside it.
async fn claim(
    config: &StreamConfig,
    state: &State,
    connection: &mut MultiplexedConnection,
    count: usize,
) -> Result<Vec<Entry>, RedisError> {
    let key = config.queue.jobs_key();
    let lease_millis = usize::try_from(config.lease.as_millis()).unwrap_or(usize::MAX);
    let mut silent = redis::cmd("XPENDING");
    silent.arg(&key).arg(GROUP).arg("IDLE").arg(lease_millis).arg("-").arg("+").arg(MAX_PENDING);
    let silent: StreamPendingCountReply = silent.query_async(connection).await?;
    let mut deliveries: HashMap<String, usize> = HashMap::new();
    {
        let leases = state.leases.lock();
        let mut last_try = leases.values().any(|held| held.whose.deliveries == config.max_deliveries);
        for pending in silent.ids {
            let next = pending.times_delivered + 1;
            let ours = leases.contains_key(&pending.id); // the heartbeat is late
            if ours || (next == config.max_deliveries && last_try) || deliveries.len() == count {
                continue;
            }
            last_try |= next == config.max_deliveries;
            deliveries.insert(pending.id, next);
        }
    }
    if deliveries.is_empty() {
        return Ok(Vec::new());
    }
    // Only those that are still silent: another worker may have been faster.
    let ids: Vec<&String> = deliveries.keys().collect();
    let reply: StreamClaimReply = connection.xclaim(&key, GROUP, &config.worker, lease_millis, &ids).await?;
    let entry = |stream_id: StreamId| {
        let deliveries = deliveries.get(&stream_id.id).copied().unwrap_or(1);
        tracing::info!(queue = %config.queue, entry = stream_id.id, deliveries, "took over a job whose worker went silent");
        Entry { stream_id, deliveries }
    };
    announce(config, connection, reply.ids.into_iter().map(entry).collect()).await
}

/// Says who has these jobs now, before any of them starts: from here on the server takes no report from the worker that had
/// it before. What that worker has settled meanwhile is left out, for it may run again already.
async fn announce(
    config: &StreamConfig,
    connection: &mut MultiplexedConnection,
    entries: Vec<Entry>,
) -> Result<Vec<Entry>, RedisError> {
    let (jobs_key, events_key) = (config.queue.jobs_key(), config.queue.events_key());
    let mut pipe = redis::pipe();
    pipe.atomic();
    for entry in &entries {
        let id = &entry.stream_id.id;
        if let Some(whose) = entry.whose() {
            Ack::running(id.clone(), whose, &config.worker).add_event(&mut pipe, &events_key);
        }
        pipe.cmd("XPENDING").arg(&jobs_key).arg(GROUP).arg(id).arg(id).arg(1);
    }
    let pending: Vec<StreamPendingCountReply> = pipe.query_async(connection).await?;
    let is_ours = |entry: &Entry, pending: &StreamPendingCountReply| {
        pending.ids.iter().any(|now| now.consumer == config.worker && now.times_delivered == entry.deliveries)
    };
    Ok(entries.into_iter().zip(pending).filter_map(|(entry, now)| is_ours(&entry, &now).then_some(entry)).collect())
}

async fn read_new(
    config: &StreamConfig,
    connection: &mut MultiplexedConnection,
    count: usize,
    block: Duration,
) -> Result<Vec<Entry>, RedisError> {
    let block_millis = usize::try_from(block.as_millis()).unwrap_or(usize::MAX);
    let options = StreamReadOptions::default().group(GROUP, &config.worker).count(count).block(block_millis);
    let reply: Option<StreamReadReply> = connection.xread_options(&[config.queue.jobs_key()], &[">"], &options).await?;
    let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
    Ok(entries.map(|stream_id| Entry { stream_id, deliveries: 1 }).collect())
}

/// From the start of the stream, never from its end: jobs pushed before the group exists must not be missed.
async fn create_group(queue: &QueueName, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    match connection.xgroup_create_mkstream(queue.jobs_key(), GROUP, "0").await {
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(()), // another worker was faster
        result => result,
    }
}

fn parse(queue: &QueueName, entry: &StreamId) -> Result<Envelope, String> {
    let lacks = |name: &str| {
        format!("the entry in Redis has no readable field `{name}`; do worker and server have one version?")
    };
    Ok(Envelope {
        queue: queue.clone(),
        job_id: entry.get("job").ok_or_else(|| lacks("job"))?,
        fence: entry.get("fence").ok_or_else(|| lacks("fence"))?,
        kind: entry.get("kind").ok_or_else(|| lacks("kind"))?,
        payload: entry.get("payload").ok_or_else(|| lacks("payload"))?,
        soft_limit: entry.get("soft").map(Duration::from_millis),
        hard_limit: entry.get("hard").map(Duration::from_millis),
        request_id: entry.get("request"),
    })
}

/// Ends a backend: what was read but never started goes back at once, and does not count as a delivery.
pub(super) async fn hand_back(config: Arc<StreamConfig>, state: Arc<State>, mut running: Running) {
    running.reader.abort();
    let _ = (&mut running.reader).await; // so that it reads nothing more
    running.deliveries.close();
    let unstarted: Vec<(String, Held)> = {
        let leases = state.leases.lock();
        leases.iter().filter(|(_, held)| !held.started).map(|(entry, held)| (entry.clone(), held.clone())).collect()
    };
    report::say_goodbye(&config, &state).await;
    if unstarted.is_empty() {
        return;
    }
    let count = unstarted.len();
    match release(&config, unstarted).await {
        Ok(()) => tracing::info!(queue = %config.queue, count, "handed back jobs that had not started"),
        // They are claimed by another worker when the lease ends.
        Err(error) => {
            tracing::warn!(queue = %config.queue, count, %error, "could not hand back jobs that had not started");
        }
    }
}

/// Makes entries look long abandoned, and as if they had not been delivered this time.
async fn release(config: &StreamConfig, unstarted: Vec<(String, Held)>) -> Result<(), RedisError> {
    const LONG_AGO_MILLIS: usize = 24 * 60 * 60 * 1000;
    let mut connection = blocking(&config.redis, Duration::ZERO).await?;
    let mut by_deliveries: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (entry, held) in unstarted {
        by_deliveries.entry(held.whose.deliveries - 1).or_default().push(entry);
    }
    for (before, entries) in by_deliveries {
        let options = redis::streams::StreamClaimOptions::default().idle(LONG_AGO_MILLIS).retry(before).with_justid();
        let _: Vec<String> =
            connection.xclaim_options(config.queue.jobs_key(), GROUP, &config.worker, 0, &entries, options).await?;
    }
    Ok(())
}
