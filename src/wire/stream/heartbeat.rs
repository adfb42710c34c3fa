//! Renews leases, and sends `running` events for jobs that take longer than one heartbeat.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::{
    AsyncCommands as _, RedisError,
    aio::{ConnectionLike, ConnectionManager},
    streams::{StreamClaimOptions, StreamPendingCountReply},
};

use super::{
    ack::Ack,
    config::{GROUP, MAX_PENDING, StreamConfig},
    connection::reconnecting,
    lease::LeasedJob,
    report::State,
};

/// The wait after a failed heartbeat. Shorter than the time after which other workers take jobs over or the server
/// dispatches them again.
const RETRY: Duration = Duration::from_millis(500);

pub(super) async fn run(config: Arc<StreamConfig>, state: Arc<State>) {
    let beat = config.lease / 3;
    let mut connection = loop {
        match reconnecting(&config.redis) {
            Ok(connection) => break connection,
            Err(error) => tracing::warn!(%error, "can't send heartbeats yet; retrying"),
        }
        tokio::time::sleep(beat).await;
    };
    let mut wait = beat;
    loop {
        tokio::time::sleep(wait).await;
        wait = match renew(&config, &state, &mut connection, beat).await {
            Ok(()) => beat,
            Err(error) => {
                tracing::warn!(queue = %config.queue, %error, "heartbeat failed; jobs go to another worker if this lasts");
                RETRY
            }
        };
    }
}

async fn renew(
    config: &StreamConfig,
    state: &State,
    connection: &mut ConnectionManager,
    beat: Duration,
) -> Result<(), RedisError> {
    let held: Vec<(String, LeasedJob)> = {
        let leases = state.leases.lock();
        leases
            .iter()
            .filter(|(_, held)| held.since.elapsed() >= beat / 2)
            .map(|(entry, held)| (entry.clone(), held.clone()))
            .collect()
    };
    if held.is_empty() {
        return Ok(());
    }
    let owned = owned_entries(config, connection).await?;
    let (kept, lost): (Vec<_>, Vec<_>) =
        held.into_iter().partition(|(entry, held)| owned.get(entry) == Some(&held.delivery_id.deliveries));
    if !lost.is_empty() {
        state.count_lost(lost.iter().filter(|(_, held)| !held.lost).count());
        let jobs: Vec<_> = lost.iter().map(|(_, held)| held.delivery_id.job_id).collect();
        tracing::warn!(queue = %config.queue, ?jobs,
            "lease lost: Redis was emptied, or another worker took over");
    }
    // A job whose entry is gone must keep reporting that it runs, or the rescuer would start it a second time.
    {
        let mut leases = state.leases.lock();
        for (entry, _) in &lost {
            if let Some(held) = leases.get_mut(entry) {
                held.lost = true;
            }
        }
    }
    let to_announce = lost.iter().chain(kept.iter().filter(|(_, held)| !held.announced));
    let mut pipe = redis::pipe();
    let mut announced = Vec::new();
    for (entry, held) in to_announce {
        Ack::running(entry.clone(), held.delivery_id, &config.worker).add_event(&mut pipe, &config.queue.events_key());
        announced.push(entry.clone());
    }
    if !announced.is_empty() {
        pipe.query_async::<()>(connection).await?;
        let mut leases = state.leases.lock();
        for entry in announced {
            if let Some(held) = leases.get_mut(&entry) {
                held.announced = true;
            }
        }
    }
    if kept.is_empty() {
        return Ok(());
    }
    let entries: Vec<&String> = kept.iter().map(|(entry, _)| entry).collect();
    // JUSTID: a renewal does not count as a delivery.
    let options = StreamClaimOptions::default().with_justid();
    let _: Vec<String> =
        connection.xclaim_options(config.queue.jobs_key(), GROUP, &config.worker, 0, &entries, options).await?;
    Ok(())
}

/// Returns the number of deliveries of each of this worker's entries, where another worker of the same name may have
/// received the last one. Ownership must be checked first: XCLAIM would take a job away from the worker that has taken
/// it over.
pub(super) async fn owned_entries(
    config: &StreamConfig,
    connection: &mut (impl ConnectionLike + Send + Sync),
) -> Result<HashMap<String, usize>, RedisError> {
    let reply: Result<StreamPendingCountReply, RedisError> =
        connection.xpending_consumer_count(config.queue.jobs_key(), GROUP, "-", "+", MAX_PENDING, &config.worker).await;
    match reply {
        Ok(reply) => Ok(reply.ids.into_iter().map(|pending| (pending.id, pending.times_delivered)).collect()),
        Err(error) if error.code() == Some("NOGROUP") => Ok(HashMap::new()),
        Err(error) => Err(error),
    }
}
