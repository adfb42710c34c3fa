//! Moves jobs between workers: takes over those of a silent worker, and hands back those that an ending worker has not
//! started.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use redis::{
    AsyncCommands as _, RedisError,
    aio::MultiplexedConnection,
    streams::{StreamClaimOptions, StreamClaimReply, StreamId, StreamPendingCountReply},
};

use super::{
    ack::Ack,
    config::{GROUP, MAX_PENDING, StreamConfig},
    connection::blocking,
    event::DeliveryId,
    heartbeat::owned_entries,
    lease::LeasedJob,
    report::{self, State},
};

/// An entry that was read, with the number of its deliveries so far.
pub(super) struct Entry {
    pub stream_id: StreamId,
    pub deliveries: usize,
}

impl Entry {
    /// Returns the delivery's id; none if the entry can't be read so far.
    pub(super) fn delivery_id(&self) -> Option<DeliveryId> {
        let (job_id, fence) = (self.stream_id.get("job")?, self.stream_id.get("fence")?);
        Some(DeliveryId { job_id, fence, deliveries: self.deliveries })
    }
}

/// Takes over entries whose lease no worker has renewed. Of those with only one delivery left, one at a time: otherwise
/// a job that kills its workers would repeatedly take down the jobs taken over with it.
pub(super) async fn claim(
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
        let mut last_try = leases.values().any(|held| held.delivery_id.deliveries == config.max_deliveries);
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

/// Announces the new worker of these jobs, before any of them starts: from here on the server accepts no report from
/// the previous worker. Jobs that the previous worker has settled meanwhile are left out, because they may already run
/// again.
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
        if let Some(delivery_id) = entry.delivery_id() {
            Ack::running(id.clone(), delivery_id, &config.worker).add_event(&mut pipe, &events_key);
        }
        pipe.cmd("XPENDING").arg(&jobs_key).arg(GROUP).arg(id).arg(id).arg(1);
    }
    let pending: Vec<StreamPendingCountReply> = pipe.query_async(connection).await?;
    let is_ours = |entry: &Entry, pending: &StreamPendingCountReply| {
        pending.ids.iter().any(|now| now.consumer == config.worker && now.times_delivered == entry.deliveries)
    };
    Ok(entries.into_iter().zip(pending).filter_map(|(entry, now)| is_ours(&entry, &now).then_some(entry)).collect())
}

/// Hands back at once the jobs that were read but never started; they do not count as delivered. The worker reads
/// nothing more by then.
pub(super) async fn hand_back(config: &StreamConfig, state: &State) {
    let unstarted: Vec<(String, LeasedJob)> = {
        let leases = state.leases.lock();
        leases.iter().filter(|(_, held)| !held.started).map(|(entry, held)| (entry.clone(), held.clone())).collect()
    };
    report::say_goodbye(config, state).await;
    if unstarted.is_empty() {
        return;
    }
    let count = unstarted.len();
    match release(config, unstarted).await {
        Ok(count) => tracing::info!(queue = %config.queue, count, "handed back jobs that had not started"),
        // Another worker claims them when the lease ends.
        Err(error) => {
            tracing::warn!(queue = %config.queue, count, %error, "could not hand back jobs that had not started");
        }
    }
}

/// Makes entries look long abandoned, and as if they had not been delivered this time. Entries that another worker has
/// taken over are not touched. Returns the number of released entries.
async fn release(config: &StreamConfig, unstarted: Vec<(String, LeasedJob)>) -> Result<usize, RedisError> {
    const LONG_AGO_MILLIS: usize = 24 * 60 * 60 * 1000;
    let mut connection = blocking(&config.redis, Duration::ZERO).await?;
    let owned = owned_entries(config, &mut connection).await?;
    let mut by_deliveries: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let is_ours = |(entry, held): &(String, LeasedJob)| owned.get(entry) == Some(&held.delivery_id.deliveries);
    for (entry, held) in unstarted.into_iter().filter(is_ours) {
        by_deliveries.entry(held.delivery_id.deliveries - 1).or_default().push(entry);
    }
    let mut released = 0;
    for (before, entries) in by_deliveries {
        let options = StreamClaimOptions::default().idle(LONG_AGO_MILLIS).retry(before).with_justid();
        let _: Vec<String> =
            connection.xclaim_options(config.queue.jobs_key(), GROUP, &config.worker, 0, &entries, options).await?;
        released += entries.len();
    }
    Ok(released)
}
