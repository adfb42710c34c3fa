//! Changes of existing objects: a pool's host, port and key, and a network's key.

use ring::rand::SystemRandom;
use sqlx::{PgConnection, PgPool};
use uncloud_wire::key::{PrivateKey, PublicKey};

use super::{db, hostname::Hostname, network::Network, pool::Pool, pools::SEAL_CONTEXT, service};
use crate::{
    code::Code,
    error::{Error, OnConstraint as _},
    http::check_if_match,
    orders, request_context,
    seal::Sealer,
    user::User,
    vpn::{networks, pools},
};

/// A change of a pool by staff; none leaves a property unchanged.
#[derive(Debug)]
pub(super) struct PoolChange {
    /// The new host.
    pub vpn_hostname: Option<Hostname>,
    /// The new UDP port.
    pub listen_port: Option<u16>,
}

async fn lock_changeable_pool(tx: &mut PgConnection, pool_id: i64) -> Result<db::LockedPool, Error> {
    let pool = db::lock_pool(tx, pool_id).await?.ok_or_else(|| pools::not_found(pool_id))?;
    if pool.deleting {
        let detail = format!("pool {pool_id} is being deleted and can no longer be changed");
        return Err(Error::Conflict { code: Code::Deleting, detail, field: None });
    }
    Ok(pool)
}

/// Changes host or port. The old host gets a job of its own to remove the interface; the new host does not wait for it,
/// because the old one may be gone for good.
pub(super) async fn change_pool(db: &PgPool, caller: &User, pool_id: i64, change: PoolChange) -> Result<Pool, Error> {
    let mut tx = request_context::begin(db).await?;
    let before = lock_changeable_pool(&mut tx, pool_id).await?;
    check_if_match(pools::find(&mut *tx, pool_id)).await?;
    let old_host: Hostname = before.vpn_hostname.parse().map_err(anyhow::Error::new)?;
    let host = change.vpn_hostname.unwrap_or_else(|| old_host.clone());
    let port = change.listen_port.map_or(before.listen_port, i32::from);
    if host == old_host && port == before.listen_port {
        tx.rollback().await?;
        return pools::find(db, pool_id).await;
    }
    let generation = db::change_pool(&mut tx, pool_id, host.as_str(), port)
        .await
        .on_constraint("vpn_pool_host_port_key", || pools::port_in_use(&host, port))?;
    if host != old_host {
        db::record_removal(&mut tx, pool_id, old_host.as_str(), generation).await?;
        db::forget_departure(&mut tx, pool_id, host.as_str(), generation).await?;
        pools::request_apply(&mut tx, pool_id, old_host.queue(), Some(caller.user_id)).await?;
    }
    let job = pools::request_apply(&mut tx, pool_id, host.queue(), Some(caller.user_id)).await?;
    db::set_pool_job(&mut tx, pool_id, job).await?;
    tx.commit().await?;
    pools::find(db, pool_id).await
}

/// Gives a pool's host a new key. Customers see it when the host has confirmed it.
pub(super) async fn rotate_pool_key(
    db: &PgPool,
    sealer: &Sealer,
    caller: &User,
    pool_id: i64,
    key: Option<PrivateKey>,
) -> Result<Pool, Error> {
    let key = match key {
        Some(key) => key,
        None => PrivateKey::generate(&SystemRandom::new())?,
    };
    let mut tx = request_context::begin(db).await?;
    let before = lock_changeable_pool(&mut tx, pool_id).await?;
    if before.public_key == key.public_key() {
        return Err(Error::field("wireguard_private_key", "is already the key of the pool"));
    }
    if db::is_peer(&mut tx, pool_id, key.public_key()).await? {
        return Err(Error::field("wireguard_private_key", "is the key of one of the pool's networks"));
    }
    let ciphertext = sealer.seal(SEAL_CONTEXT, key.expose())?;
    db::set_next_key(&mut tx, pool_id, &ciphertext, sealer.key_id(), key.public_key()).await?;
    let host: Hostname = before.vpn_hostname.parse().map_err(anyhow::Error::new)?;
    let job = pools::request_apply(&mut tx, pool_id, host.queue(), Some(caller.user_id)).await?;
    db::set_pool_job(&mut tx, pool_id, job).await?;
    tx.commit().await?;
    pools::find(db, pool_id).await
}

/// Gives a network another key; its prefix does not change.
pub(super) async fn change_network_key(
    db: &PgPool,
    caller: &User,
    network_id: i64,
    key: PublicKey,
) -> Result<Network, Error> {
    let mut tx = request_context::begin(db).await?;
    // Lock in the usual order of customer, pool, network; the customer is locked since the key is a parameter of the
    // order.
    orders::lock_customer(&mut tx, caller.user_id).await?;
    let locked = db::lock_pool_of_network(&mut tx, network_id, caller.user_id).await?;
    let pool = locked.ok_or_else(|| networks::not_found(network_id))?;
    check_if_match(networks::find(&mut *tx, caller, network_id)).await?;
    networks::refuse_servers_key(&pool, key)?;
    let generation = db::raise_generation(&mut tx, pool.pool_id).await?;
    let host: Hostname = pool.vpn_hostname.parse().map_err(anyhow::Error::new)?;
    let job = pools::request_apply(&mut tx, pool.pool_id, host.queue(), Some(caller.user_id)).await?;
    let changed = db::set_network_key(&mut tx, network_id, key, generation, job)
        .await
        .on_constraint("vpn_network_public_key_key", networks::key_in_use)?;
    if !changed {
        let detail = format!("network {network_id} is being deleted and can no longer be changed");
        return Err(Error::Conflict { code: Code::Deleting, detail, field: None });
    }
    let network = networks::find(&mut *tx, caller, network_id).await?;
    orders::parameter_changed(&mut tx, network.order_id, service::PUBLIC_KEY, &key.to_string()).await?;
    tx.commit().await?;
    Ok(network)
}
