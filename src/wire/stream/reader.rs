//! Reads jobs: as many as there are free slots, new ones and those of dead workers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{
    AsyncCommands as _, RedisError,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamReadOptions, StreamReadReply},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::{
    ack::Ack,
    config::{GROUP, StreamConfig},
    connection::blocking,
    envelope::Envelope,
    event::Outcome,
    lease::Delivery,
    report::State,
    takeover::{Entry, claim},
};
use crate::queue_name::QueueName;

const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

pub(super) struct Reader {
    config: Arc<StreamConfig>,
    deliveries: mpsc::Sender<Delivery>,
    state: Arc<State>,
    acks: mpsc::UnboundedSender<Ack>,
    stop: watch::Receiver<bool>,
    connection: Option<MultiplexedConnection>,
    /// The next time to look for jobs whose worker went silent.
    claim_at: Instant,
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
                    // If Redis was unavailable, no worker could renew its leases: first all the others have to send
                    // their heartbeats.
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

    /// Reads up to `count` entries; returns none if no entry arrived for a while.
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
            let delivery_id = entry.delivery_id();
            let envelope = match parse(&self.config.queue, &entry.stream_id) {
                Ok(envelope) if self.state.is_revoked(envelope.job_id, envelope.fence) => {
                    let reason = "revoked by staff before it ran".to_owned();
                    self.refuse(Ack::refusal(id, delivery_id, Outcome::Revoked, reason));
                    continue;
                }
                Ok(envelope) if entry.deliveries <= self.config.max_deliveries => envelope,
                Ok(_) => {
                    let died = entry.deliveries - 1;
                    let error = format!(
                        "its worker died {died} times while it ran; look at the worker's log, then run it again"
                    );
                    self.refuse(Ack::refusal(id, delivery_id, Outcome::Failed, error));
                    continue;
                }
                Err(error) => {
                    self.refuse(Ack::refusal(id, delivery_id, Outcome::Failed, error));
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
        tracing::error!(queue = %self.config.queue, job = ack.delivery_id.map(|id| id.job_id), outcome = ack.outcome.as_str(), reason = %ack.body, "job refused");
        // The receiver only ends with the process.
        let _ = self.acks.send(ack);
    }
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

/// Creates the consumer group from the start of the stream, never from its end: jobs pushed before the group exists
/// must not be missed.
async fn create_group(queue: &QueueName, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    match connection.xgroup_create_mkstream(queue.jobs_key(), GROUP, "0").await {
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(()), // another worker was faster
        result => result,
    }
}

fn parse(queue: &QueueName, entry: &StreamId) -> Result<Envelope, String> {
    let lacks = |name: &str| {
        format!("the entry in Redis has no readable field `{name}`; check that worker and server have the same version")
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
