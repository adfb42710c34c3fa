//! The creation, search and removal of networks.

use sqlx::{PgConnection, PgExecutor};
use uncloud_wire::key::PublicKey;

use super::{db, hostname::Hostname, prefix};
use crate::{
    code::Code,
    database::Database,
    error::{Error, OnConstraint as _},
    http::PageQuery,
    queue::JobState,
    user::User,
    vpn::{
        network::{Network, NetworkFilter, NetworkRequest},
        pools,
    },
};

/// Allocates the next free prefix of that size from the first pool with free prefixes, and requests a tunnel from its
/// host. It belongs to the customer of an order that is placed in the same transaction.
pub(super) async fn create(
    tx: &mut PgConnection,
    user_id: i64,
    order_id: i64,
    request: NetworkRequest,
) -> Result<Network, Error> {
    let NetworkRequest { size, public_key } = request;
    if let Some(limit) = db::quota(tx, user_id).await?.filter(|limit| limit.used >= limit.quota.into()) {
        let detail = format!(
            "{} of {} networks are in use, including those being deleted; delete one, or contact the provider for more",
            limit.used, limit.quota
        );
        return Err(Error::Conflict { code: Code::QuotaExceeded, detail, field: None });
    }
    let pool = lock_pool_with_room(tx, size).await?;
    refuse_servers_key(&pool, public_key)?;
    let taken = db::allocate_prefix(tx, pool.pool_id).await?;
    let network = index(taken.index)
        .and_then(|index| prefix::subnetwork(pool.network, size, index))
        .ok_or_else(|| anyhow::anyhow!("pool {} does not have prefix number {}", pool.pool_id, taken.index))?;
    let queue: Hostname = pool.vpn_hostname.parse().map_err(anyhow::Error::new)?;
    let job_id = pools::request_apply(tx, pool.pool_id, queue.queue(), Some(user_id)).await?;
    let row = db::NetworkRow {
        user_id,
        order_id,
        pool_id: pool.pool_id,
        pool_network: pool.network,
        subnetwork_size: pool.subnetwork_size,
        network,
        public_key,
        generation: taken.generation,
        job_id,
    };
    let network_id = db::insert_network(tx, &row).await.on_constraint("vpn_network_public_key_key", key_in_use)?;
    // Return the network as it was accepted. Reading it again would cost more than all the other statements, and would
    // find the same or a slightly later state.
    Ok(Network {
        network_id,
        user_id,
        order_id,
        pool_id: pool.pool_id,
        network,
        public_key,
        vpn_hostname: pool.vpn_hostname,
        listen_port: pool.listen_port,
        server_public_key: pool.public_key,
        generation: taken.generation,
        applied_generation: pool.applied_generation,
        deleting: false,
        job_id: Some(job_id),
        job_state: Some(JobState::Queued),
        job_error: None,
        dry_run: None,
    })
}

/// Refuses the server's own key: WireGuard would silently drop a peer with that key.
pub(super) fn refuse_servers_key(pool: &db::LockedPool, key: PublicKey) -> Result<(), Error> {
    if pool.public_key == key || pool.next_public_key == Some(key) {
        let message = "is the server's own key; generate your own with `wg genkey | tee privatekey | wg pubkey`";
        return Err(Error::field("wireguard_public_key", message));
    }
    Ok(())
}

pub(super) fn key_in_use() -> Error {
    let detail = "a network of this pool already has this key; use another key";
    Error::conflict(Code::KeyInUse, "wireguard_public_key", detail)
}

fn index(index: i32) -> Option<u32> {
    index.try_into().ok()
}

async fn lock_pool_with_room(tx: &mut PgConnection, size: u8) -> Result<db::LockedPool, Error> {
    loop {
        if let Some(pool) = db::lock_pool_with_room(tx, i16::from(size)).await? {
            return Ok(pool);
        }
        // The pool may have filled up while the server waited for its lock: then another one may still have free
        // prefixes.
        let offers = db::offers(tx).await?;
        match offers.iter().find(|offer| offer.size == i16::from(size)) {
            Some(offer) if offer.has_room => {}
            Some(_) => {
                let detail = format!("all networks of size /{size} are in use; contact the provider");
                return Err(Error::conflict(Code::PoolExhausted, "network_size", detail));
            }
            None if offers.is_empty() => {
                return Err(Error::field("network_size", "no VPN networks are offered yet; contact the provider"));
            }
            None => {
                let sizes: Vec<String> = offers.iter().map(|offer| offer.size.to_string()).collect();
                return Err(Error::field("network_size", format!("is not offered; choose from: {}", sizes.join(", "))));
            }
        }
    }
}

/// Returns a page of the caller's networks, and one more if there are more.
pub async fn list(db: impl PgExecutor<'_>, caller: &User, window: PageQuery) -> Result<Vec<Network>, Error> {
    Ok(db::networks(db, caller.user_id, window).await?)
}

/// Returns a page of all customers' networks with the customers' names, and one more if there are more.
pub async fn search(db: &Database, filter: &NetworkFilter, window: PageQuery) -> Result<Vec<(Network, String)>, Error> {
    let networks = db::all_networks(&db.search(), filter, window).await?;
    let owners: Vec<i64> = networks.iter().map(|network| network.user_id).collect();
    let names = db::usernames(db, &owners).await?;
    let owned = networks.into_iter().map(|network| {
        let name = names.get(&network.user_id).cloned().unwrap_or_default();
        (network, name)
    });
    Ok(owned.collect())
}

/// Returns one of the caller's networks.
pub async fn find(db: impl PgExecutor<'_>, caller: &User, network_id: i64) -> Result<Network, Error> {
    let mut networks = db::networks(db, caller.user_id, PageQuery::only(network_id)).await?;
    networks.pop().ok_or_else(|| not_found(network_id))
}

pub(super) fn not_found(network_id: i64) -> Error {
    Error::NotFound(format!("VPN network {network_id} not found").into())
}

/// Starts the removal of an order's network, if it has one that is not already being removed. Its prefix remains
/// allocated until the host has confirmed.
pub(super) async fn deprovision(tx: &mut PgConnection, user_id: i64, order_id: i64) -> Result<(), Error> {
    let Some(network_id) = db::network_of_order(tx, order_id).await? else { return Ok(()) };
    // Lock in the usual order of pool, then network, so that two changes never deadlock.
    let pool = db::lock_pool_of_network(tx, network_id, user_id).await?.ok_or_else(|| not_found(network_id))?;
    let generation = db::raise_generation(tx, pool.pool_id).await?;
    let queue: Hostname = pool.vpn_hostname.parse().map_err(anyhow::Error::new)?;
    let job_id = pools::request_apply(tx, pool.pool_id, queue.queue(), Some(user_id)).await?;
    db::mark_network_deleting(tx, network_id, generation, job_id).await?;
    Ok(())
}
