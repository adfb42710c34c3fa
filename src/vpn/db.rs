//! Pools and networks in Postgres. Locks are taken in the order pool, job, network.

use ipnet::IpNet;
use sqlx::{PgConnection, PgPool};

use super::{key::PublicKey, network::Network, pool::Pool};
use crate::{
    http::Window,
    queue::{JobId, JobState},
};

/// A new pool.
pub(super) struct PoolRow<'a> {
    pub network: IpNet,
    pub subnetwork_size: i16,
    pub vpn_hostname: &'a str,
    pub listen_port: i32,
    pub private_key: &'a [u8],
    pub key_id: &'a str,
    pub public_key: PublicKey,
}

/// A new network.
pub(super) struct NetworkRow {
    pub user_id: i64,
    pub pool_id: i64,
    pub pool_network: IpNet,
    pub subnetwork_size: i16,
    pub network: IpNet,
    pub public_key: PublicKey,
    pub generation: i64,
    pub job_id: JobId,
}

/// A pool whose row is locked until the end of the transaction.
pub(super) struct LockedPool {
    pub pool_id: i64,
    pub network: IpNet,
    pub subnetwork_size: i16,
    pub vpn_hostname: String,
    pub public_key: PublicKey,
    pub used: i32,
    pub deleting: bool,
}

/// A size of networks that pools have.
pub(super) struct Offer {
    pub size: i16,
    pub has_room: bool,
}

/// The number of a prefix in its pool, and the generation that will carry it.
pub(super) struct Taken {
    pub index: i32,
    pub generation: i64,
}

pub(super) async fn insert_pool(tx: &mut PgConnection, pool: &PoolRow<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "insert into vpn_pool (network, subnetwork_size, vpn_hostname, listen_port, private_key, private_key_key_id,
             public_key, generation)
         values ($1, $2, $3, $4, $5, $6, $7, next_generation(0))
         returning pool_id",
        pool.network,
        pool.subnetwork_size,
        pool.vpn_hostname,
        pool.listen_port,
        pool.private_key,
        pool.key_id,
        pool.public_key.as_bytes(),
    )
    .fetch_one(tx)
    .await
}

pub(super) async fn set_pool_job(tx: &mut PgConnection, pool_id: i64, job_id: JobId) -> sqlx::Result<()> {
    sqlx::query!("update vpn_pool set job_id = $2 where pool_id = $1", pool_id, job_id).execute(tx).await.map(drop)
}

/// A window of all pools, or one pool.
pub(super) async fn pools(db: &PgPool, pool_id: Option<i64>, window: Window) -> sqlx::Result<Vec<Pool>> {
    sqlx::query_as!(
        Pool,
        r#"select pool_id, network, subnetwork_size, vpn_hostname, listen_port, public_key as "public_key: PublicKey",
                  used, capacity as "capacity!", applied_generation, deleting, vpn_pool.job_id,
                  now.state as "job_state?: JobState"
           from vpn_pool
           left join job asked on asked.job_id = vpn_pool.job_id
           left join job now on now.job_id = coalesce(asked.superseded_by, asked.job_id)
           where ($1::bigint is null or pool_id = $1) and pool_id > $2
           order by pool_id limit $3"#,
        pool_id,
        window.after,
        window.fetch(),
    )
    .fetch_all(db)
    .await
}

pub(super) async fn overlapping_pool(db: &PgPool, network: IpNet) -> sqlx::Result<Option<(i64, IpNet)>> {
    let row = sqlx::query!("select pool_id, network from vpn_pool where network && $1 limit 1", network as _)
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| (row.pool_id, row.network)))
}

pub(super) async fn lock_pool(tx: &mut PgConnection, pool_id: i64) -> sqlx::Result<Option<LockedPool>> {
    sqlx::query_as!(
        LockedPool,
        r#"select pool_id, network, subnetwork_size, vpn_hostname, public_key as "public_key: PublicKey", used, deleting
           from vpn_pool where pool_id = $1 for update"#,
        pool_id
    )
    .fetch_optional(tx)
    .await
}

/// The first pool of that size with room. None also when the one found filled up while its lock was waited for.
pub(super) async fn lock_pool_with_room(tx: &mut PgConnection, size: i16) -> sqlx::Result<Option<LockedPool>> {
    sqlx::query_as!(
        LockedPool,
        r#"select pool_id, network, subnetwork_size, vpn_hostname, public_key as "public_key: PublicKey", used, deleting
           from vpn_pool where subnetwork_size = $1 and used < capacity and not deleting
           order by pool_id limit 1 for update"#,
        size
    )
    .fetch_optional(tx)
    .await
}

pub(super) async fn lock_pool_of_network(
    tx: &mut PgConnection,
    network_id: i64,
    user_id: i64,
) -> sqlx::Result<Option<LockedPool>> {
    let pool_id = sqlx::query_scalar!(
        "select pool_id from vpn_network where network_id = $1 and user_id = $2",
        network_id,
        user_id
    )
    .fetch_optional(&mut *tx)
    .await?;
    match pool_id {
        Some(pool_id) => lock_pool(tx, pool_id).await,
        None => Ok(None),
    }
}

pub(super) async fn offers(tx: &mut PgConnection) -> sqlx::Result<Vec<Offer>> {
    sqlx::query_as!(
        Offer,
        r#"select subnetwork_size as size, bool_or(used < capacity) as "has_room!" from vpn_pool
           where not deleting group by subnetwork_size order by subnetwork_size"#
    )
    .fetch_all(tx)
    .await
}

/// The lowest freed prefix, else the next that was never used. The caller has locked the pool in an earlier
/// statement, so this one sees what the lock's last holder did.
pub(super) async fn take_prefix(tx: &mut PgConnection, pool_id: i64) -> sqlx::Result<Taken> {
    sqlx::query_as!(
        Taken,
        r#"with freed as (
               delete from vpn_free_prefix
               where pool_id = $1 and index = (select min(index) from vpn_free_prefix where pool_id = $1)
               returning index)
           update vpn_pool
           set used = used + 1,
               next_index = next_index + case when exists (select from freed) then 0 else 1 end,
               generation = next_generation(generation)
           where pool_id = $1
           returning coalesce((select index from freed), next_index - 1) as "index!", generation"#,
        pool_id
    )
    .fetch_one(tx)
    .await
}

pub(super) async fn insert_network(tx: &mut PgConnection, row: &NetworkRow) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "insert into vpn_network (user_id, pool_id, pool_network, subnetwork_size, network, public_key, generation, job_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         returning network_id",
        row.user_id,
        row.pool_id,
        row.pool_network,
        row.subnetwork_size,
        row.network,
        row.public_key.as_bytes(),
        row.generation,
        row.job_id,
    )
    .fetch_one(tx)
    .await
}

/// A window of a user's networks, or one of them.
pub(super) async fn networks(
    db: &PgPool,
    user_id: i64,
    network_id: Option<i64>,
    window: Window,
) -> sqlx::Result<Vec<Network>> {
    sqlx::query_as!(
        Network,
        r#"select network_id, net.network, net.public_key as "public_key: PublicKey", vpn_hostname, listen_port,
                  pool.public_key as "server_public_key: PublicKey", net.generation, applied_generation, net.deleting,
                  net.job_id, now.state as "job_state?: JobState", now.error as "job_error?",
                  now.result ->> 'dry_run' as dry_run
           from vpn_network net
           join vpn_pool pool using (pool_id)
           left join job asked on asked.job_id = net.job_id
           left join job now on now.job_id = coalesce(asked.superseded_by, asked.job_id)
           where net.user_id = $1 and ($2::bigint is null or network_id = $2) and network_id > $3
           order by network_id limit $4"#,
        user_id,
        network_id,
        window.after,
        window.fetch(),
    )
    .fetch_all(db)
    .await
}

/// Some of a pool's networks, for a message.
pub(super) async fn networks_of_pool(tx: &mut PgConnection, pool_id: i64, limit: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"select text(network) as "network!" from vpn_network where pool_id = $1 order by network_id limit $2"#,
        pool_id,
        limit
    )
    .fetch_all(tx)
    .await
}

pub(super) async fn raise_generation(tx: &mut PgConnection, pool_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "update vpn_pool set generation = next_generation(generation) where pool_id = $1 returning generation",
        pool_id
    )
    .fetch_one(tx)
    .await
}

pub(super) async fn mark_pool_deleting(tx: &mut PgConnection, pool_id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "update vpn_pool set deleting = true, generation = next_generation(generation) where pool_id = $1",
        pool_id
    )
    .execute(tx)
    .await
    .map(drop)
}

/// False when it was being deleted already.
pub(super) async fn mark_network_deleting(
    tx: &mut PgConnection,
    network_id: i64,
    generation: i64,
    job_id: JobId,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update vpn_network set deleting = true, generation = $2, job_id = $3 where network_id = $1 and not deleting",
        network_id,
        generation,
        job_id
    )
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}
