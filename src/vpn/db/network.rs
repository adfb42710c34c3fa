//! The queries on networks, and the allocation of their prefixes.

use std::collections::HashMap;

use ipnet::IpNet;
use sqlx::{PgConnection, PgExecutor};
use uncloud_wire::{JobId, key::PublicKey};

use super::pool::{LockedPool, lock_pool};
use crate::{
    http::{PageQuery, in_order},
    queue::JobState,
    vpn::network::{Network, NetworkFilter},
};

/// A new network.
pub(in crate::vpn) struct NetworkRow {
    pub user_id: i64,
    pub order_id: i64,
    pub pool_id: i64,
    pub pool_network: IpNet,
    pub subnetwork_size: i16,
    pub network: IpNet,
    pub public_key: PublicKey,
    pub generation: i64,
    pub job_id: JobId,
}

/// A size of networks that pools offer.
pub(in crate::vpn) struct PrefixOffer {
    pub size: i16,
    pub has_room: bool,
}

/// The number of networks that a customer may have, and has.
pub(in crate::vpn) struct Quota {
    pub quota: i32,
    pub used: i64,
}

/// The number of a prefix in its pool, and the generation that will carry it.
pub(in crate::vpn) struct Allocation {
    pub index: i32,
    pub generation: i64,
}

/// Locks and returns the first pool of that size with free prefixes. Returns none also if that pool filled up while the
/// server waited for its lock.
pub(in crate::vpn) async fn lock_pool_with_room(tx: &mut PgConnection, size: i16) -> sqlx::Result<Option<LockedPool>> {
    sqlx::query_as!(
        LockedPool,
        r#"select pool_id, network, subnetwork_size, vpn_hostname, listen_port, public_key as "public_key: PublicKey",
                  next_public_key as "next_public_key: PublicKey", applied_generation, used, deleting
           from vpn_pool where subnetwork_size = $1 and used < capacity and not deleting
           order by pool_id limit 1 for update"#,
        size
    )
    .fetch_optional(tx)
    .await
}

pub(in crate::vpn) async fn lock_pool_of_network(
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

pub(in crate::vpn) async fn offers(tx: &mut PgConnection) -> sqlx::Result<Vec<PrefixOffer>> {
    sqlx::query_as!(
        PrefixOffer,
        r#"select subnetwork_size as size, bool_or(used < capacity) as "has_room!" from vpn_pool
           where not deleting group by subnetwork_size order by subnetwork_size"#
    )
    .fetch_all(tx)
    .await
}

/// Allocates the lowest freed prefix, else the next that was never used. The caller has locked the pool in an earlier
/// statement, so this one sees the changes of the lock's last holder.
pub(in crate::vpn) async fn allocate_prefix(tx: &mut PgConnection, pool_id: i64) -> sqlx::Result<Allocation> {
    sqlx::query_as!(
        Allocation,
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

pub(in crate::vpn) async fn insert_network(tx: &mut PgConnection, row: &NetworkRow) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "insert into vpn_network (user_id, pool_id, pool_network, subnetwork_size, network, public_key, generation, job_id, order_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         returning network_id",
        row.user_id,
        row.pool_id,
        row.pool_network,
        row.subnetwork_size,
        row.network,
        row.public_key.as_bytes(),
        row.generation,
        row.job_id,
        row.order_id,
    )
    .fetch_one(tx)
    .await
}

/// Runs a query for a page of the networks that meet a condition.
macro_rules! networks {
    ($window:expr, $db:expr, $condition:literal $(, $arg:expr)* $(,)?) => {
        in_order!(
            $window,
            $db,
            query_as<Network>,
            id "network_id",
            r#"select network_id, net.user_id, order_id, pool_id, net.network, net.public_key as "public_key: PublicKey",
                      vpn_hostname, listen_port, pool.public_key as "server_public_key: PublicKey", applied_generation,
                      net.deleting, greatest(net.generation, changed_generation) as "generation!", net.job_id,
                      now.state as "job_state?: JobState", now.result ->> 'dry_run' as dry_run,
                      coalesce(now.error, worker_silence(vpn_hostname, now.state, now.dispatched_at)) as job_error
               from vpn_network net
               join vpn_pool pool using (pool_id)
               left join job asked on asked.job_id = net.job_id
               left join job now on now.job_id = coalesce(asked.superseded_by, asked.job_id)"# + $condition
            $(, $arg)*
        )
    };
}

/// Returns a page of a user's networks.
pub(in crate::vpn) async fn networks(
    db: impl PgExecutor<'_>,
    user_id: i64,
    window: PageQuery,
) -> sqlx::Result<Vec<Network>> {
    networks!(window, db, " where net.user_id = $3", user_id)
}

/// Returns a page of all customers' networks.
pub(in crate::vpn) async fn all_networks(
    db: impl PgExecutor<'_>,
    filter: &NetworkFilter,
    window: PageQuery,
) -> sqlx::Result<Vec<Network>> {
    networks!(
        window,
        db,
        " where ($3::bigint is null or pool_id = $3) and ($4::text is null or vpn_hostname = $4)
              and ($5::text is null or net.user_id = (select user_id from users where username = $5))",
        filter.pool_id,
        filter.vpn_hostname,
        filter.username,
    )
}

/// Returns the names of these users.
pub(in crate::vpn) async fn usernames(db: impl PgExecutor<'_>, users: &[i64]) -> sqlx::Result<HashMap<i64, String>> {
    let rows = sqlx::query!("select user_id, username from users where user_id = any($1)", users);
    Ok(rows.map(|row| (row.user_id, row.username)).fetch_all(db).await?.into_iter().collect())
}

/// Returns some of a pool's networks, for a message.
pub(in crate::vpn) async fn networks_of_pool(
    tx: &mut PgConnection,
    pool_id: i64,
    limit: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"select text(network) as "network!" from vpn_network where pool_id = $1 order by network_id limit $2"#,
        pool_id,
        limit
    )
    .fetch_all(tx)
    .await
}

pub(in crate::vpn) async fn mark_network_deleting(
    tx: &mut PgConnection,
    network_id: i64,
    generation: i64,
    job_id: JobId,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update vpn_network set deleting = true, generation = $2, job_id = $3 where network_id = $1",
        network_id,
        generation,
        job_id
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Returns true if one of the pool's networks has this key.
pub(in crate::vpn) async fn is_peer(tx: &mut PgConnection, pool_id: i64, key: PublicKey) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (
               select from vpn_network where pool_id = $1 and public_key = $2 and not deleting) as "exists!""#,
        pool_id,
        key.as_bytes()
    )
    .fetch_one(tx)
    .await
}

/// Sets the key of a network. Returns false if the network is being deleted.
pub(in crate::vpn) async fn set_network_key(
    tx: &mut PgConnection,
    network_id: i64,
    key: PublicKey,
    generation: i64,
    job_id: JobId,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update vpn_network set public_key = $2, generation = $3, job_id = $4 where network_id = $1 and not deleting",
        network_id,
        key.as_bytes(),
        generation,
        job_id
    )
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Returns a customer's limit and its use; none for staff, who have no limit. The caller has locked the customer in an
/// earlier statement, so this one sees the changes of the lock's last holder.
pub(in crate::vpn) async fn quota(tx: &mut PgConnection, user_id: i64) -> sqlx::Result<Option<Quota>> {
    sqlx::query_as!(
        Quota,
        r#"select vpn_quota as quota, (select count(*) from vpn_network where user_id = $1) as "used!"
           from users where user_id = $1 and not staff"#,
        user_id
    )
    .fetch_optional(tx)
    .await
}

/// Returns the network of an order, unless it is being deleted.
pub(in crate::vpn) async fn network_of_order(tx: &mut PgConnection, order_id: i64) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!("select network_id from vpn_network where order_id = $1 and not deleting", order_id)
        .fetch_optional(tx)
        .await
}
