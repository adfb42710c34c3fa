//! The conversion of rows to the desired state of a host's interface, and of the host's report to rows.

use std::collections::{HashMap, HashSet};

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;
use uncloud_wire::{
    JobId,
    desired::{ApplyReport, DesiredInterface, InterfaceConfig, InterfaceName, InterfaceState, MTU, Peer, VERSION},
    key::{PrivateKey, PublicKey},
};

use super::{db, hostname::Hostname, pools::SEAL_CONTEXT, prefix};
use crate::{
    queue::{Claimed, Prepared, Settled},
    seal::Sealer,
    vpn::pools,
};

/// The payload in a job's row, which only identifies the pool.
#[derive(Deserialize)]
pub(super) struct Payload {
    pub(super) pool_id: i64,
}

struct PoolState {
    pool_id: i64,
    network: IpNet,
    subnetwork_size: i16,
    vpn_hostname: String,
    listen_port: i32,
    private_key: Vec<u8>,
    private_key_key_id: String,
    generation: i64,
    deleting: bool,
}

/// An interface that a host still has to remove, because its pool has moved to another host.
struct PendingRemoval {
    pool_id: i64,
    vpn_hostname: String,
    generation: i64,
}

/// Prepares the newest desired state for each job's pool, with all its networks.
pub async fn prepare(
    tx: &mut PgConnection,
    sealer: &Sealer,
    jobs: &[&Claimed],
) -> sqlx::Result<Vec<(JobId, Prepared)>> {
    let pool_of = |job: &Claimed| Payload::deserialize(&job.payload).map(|payload| payload.pool_id);
    let pool_ids: Vec<i64> = jobs.iter().filter_map(|job| pool_of(job).ok()).collect();
    let pools = sqlx::query_as!(
        PoolState,
        r#"select pool_id, network, subnetwork_size, vpn_hostname, listen_port, generation, deleting,
                  coalesce(next_private_key, private_key) as "private_key!",
                  coalesce(next_private_key_key_id, private_key_key_id) as "private_key_key_id!"
           from vpn_pool where pool_id = any($1)"#,
        &pool_ids
    )
    .fetch_all(&mut *tx)
    .await?;
    let departures = sqlx::query_as!(
        PendingRemoval,
        "select pool_id, vpn_hostname, generation from vpn_pool_departure where pool_id = any($1)",
        &pool_ids
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut peers = peers(tx, &pool_ids).await?;
    // Key by pool and host: a pool that moves is prepared both for its old host and for its new one.
    let mut states: HashMap<(i64, String), Prepared> = HashMap::with_capacity(pools.len());
    for departure in departures {
        let absent = payload(departure.pool_id, departure.generation, InterfaceState::Absent);
        states.insert((departure.pool_id, departure.vpn_hostname), absent.unwrap_or_else(Prepared::Fail));
    }
    for pool in pools {
        let state = peers.remove(&pool.pool_id).unwrap_or_else(|| Ok(Vec::new()));
        let state = state
            .and_then(|peers| interface(sealer, &pool, peers))
            .and_then(|state| payload(pool.pool_id, pool.generation, state));
        states.insert((pool.pool_id, pool.vpn_hostname), state.unwrap_or_else(Prepared::Fail));
    }
    let prepared = jobs.iter().map(|job| {
        let prepared = match pool_of(job) {
            Ok(pool_id) => states
                .remove(&(pool_id, job.queue.clone()))
                .unwrap_or_else(|| Prepared::Cancel(format!("VPN pool {pool_id} is no longer on {}", job.queue))),
            Err(error) => Prepared::Fail(format!("the job's payload does not identify a pool: {error}")),
        };
        (job.job_id, prepared)
    });
    Ok(prepared.collect())
}

/// Returns the networks of each pool. An invalid key fails only its own pool's job: an error of the query would block
/// all jobs of all hosts, for ever.
async fn peers(tx: &mut PgConnection, pool_ids: &[i64]) -> sqlx::Result<HashMap<i64, Result<Vec<Peer>, String>>> {
    let rows = sqlx::query!(
        "select pool_id, network_id, network, public_key from vpn_network
         where pool_id = any($1) and not deleting order by network_id",
        pool_ids
    )
    .fetch_all(tx)
    .await?;
    let mut pools: HashMap<i64, Result<Vec<Peer>, String>> = HashMap::new();
    for row in rows {
        let pool = pools.entry(row.pool_id).or_insert_with(|| Ok(Vec::new()));
        let key = <[u8; 32]>::try_from(row.public_key).ok().and_then(|bytes| PublicKey::try_from(bytes).ok());
        match (pool.as_mut(), key) {
            (Ok(peers), Some(public_key)) => peers.push(Peer { public_key, allowed_ips: vec![row.network] }),
            (Ok(_), None) => *pool = Err(format!("the public key of network {} is damaged", row.network_id)),
            (Err(_), _) => {}
        }
    }
    Ok(pools)
}

fn interface(sealer: &Sealer, pool: &PoolState, peers: Vec<Peer>) -> Result<InterfaceState, String> {
    if pool.deleting {
        return Ok(InterfaceState::Absent);
    }
    let opened = sealer.open(SEAL_CONTEXT, &pool.private_key_key_id, &pool.private_key);
    let bytes = opened.map_err(|error| format!("the private key of pool {} can't be read: {error}", pool.pool_id))?;
    let private_key = <[u8; 32]>::try_from(bytes)
        .ok()
        .and_then(|bytes| PrivateKey::try_from(bytes).ok())
        .ok_or_else(|| format!("the private key of pool {} is damaged", pool.pool_id))?;
    let size = u8::try_from(pool.subnetwork_size).map_err(|error| error.to_string())?;
    let servers = prefix::subnetwork(pool.network, size, 0).ok_or("the pool is smaller than its networks")?;
    Ok(InterfaceState::Present(InterfaceConfig {
        listen_port: u16::try_from(pool.listen_port).map_err(|error| error.to_string())?,
        mtu: MTU,
        addresses: vec![prefix::first_address(servers)],
        routes: vec![pool.network],
        peers,
        private_key,
    }))
}

fn payload(pool_id: i64, generation: i64, state: InterfaceState) -> Result<Prepared, String> {
    let desired = DesiredInterface { version: VERSION, interface: InterfaceName::for_pool(pool_id), generation, state };
    serde_json::to_vec(&desired).map(Prepared::Payload).map_err(|error| error.to_string())
}

/// Records the generation that the host has confirmed: frees the prefixes that it has removed, and deletes a pool that
/// it has removed.
pub async fn settle(tx: &mut PgConnection, host: &str, payload: &Value, result: &Value) -> sqlx::Result<Settled> {
    let (Ok(Payload { pool_id }), Ok(report)) = (Payload::deserialize(payload), ApplyReport::deserialize(result))
    else {
        return Ok(Settled::Unreadable(
            "the worker's report is invalid; check that worker and server have the same version".into(),
        ));
    };
    let pool = sqlx::query!(
        "select network, vpn_hostname, generation, deleting from vpn_pool where pool_id = $1 for update",
        pool_id
    )
    .fetch_optional(&mut *tx)
    .await?;
    // The report of a host that the pool has left does not affect the pool.
    let Some(pool) = pool.filter(|pool| pool.vpn_hostname == host) else {
        db::forget_departure(tx, pool_id, host, report.applied_generation).await?;
        return Ok(Settled::Done);
    };
    if report.applied_generation > pool.generation {
        // The host has applied a generation that this database, restored from a backup, does not know: use a higher
        // one.
        tracing::warn!(pool = pool_id, host, "the host is ahead of the database; applying the database's state again");
        let host: Hostname = host.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        if !db::overtake(tx, pool_id, report.applied_generation).await? {
            return Ok(Settled::Unreadable(format!(
                "the host reports that it has applied generation {}, which is more than a year ahead of the database's clock; \
                 if the clocks are right, remove the pool's file in the host's state folder and run the job again",
                report.applied_generation
            )));
        }
        pools::request_apply(tx, pool_id, host.queue(), None).await?;
        return Ok(Settled::Done);
    }
    if pool.deleting && report.applied_generation == pool.generation {
        sqlx::query!("delete from vpn_pool where pool_id = $1", pool_id).execute(tx).await?;
        return Ok(Settled::Done);
    }
    free_prefixes(tx, pool_id, pool.network, report.applied_generation).await?;
    sqlx::query!(
        "update vpn_pool
         set private_key = next_private_key, private_key_key_id = next_private_key_key_id, public_key = next_public_key,
             next_private_key = null, next_private_key_key_id = null, next_public_key = null, next_key_generation = null
         where pool_id = $1 and next_key_generation <= $2",
        pool_id,
        report.applied_generation
    )
    .execute(tx)
    .await?;
    Ok(Settled::Done)
}

async fn free_prefixes(tx: &mut PgConnection, pool_id: i64, network: IpNet, applied: i64) -> sqlx::Result<()> {
    let freed = sqlx::query_scalar!(
        "delete from vpn_network where pool_id = $1 and deleting and generation <= $2 returning network",
        pool_id,
        applied
    )
    .fetch_all(&mut *tx)
    .await?;
    let indices: HashSet<i32> = freed
        .iter()
        .filter_map(|freed| prefix::index_of(network, *freed))
        .filter_map(|index| i32::try_from(index).ok())
        .collect();
    let indices: Vec<i32> = indices.into_iter().collect();
    sqlx::query!(
        "insert into vpn_free_prefix (pool_id, index) select $1, index from unnest($2::integer[]) as freed (index)",
        pool_id,
        &indices
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update vpn_pool set applied_generation = greatest(applied_generation, $2), used = used - $3 where pool_id = $1",
        pool_id,
        applied,
        i32::try_from(freed.len()).unwrap_or(i32::MAX),
    )
    .execute(tx)
    .await
    .map(drop)
}
