//! The queries on pools.

use ipnet::IpNet;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uncloud_wire::{JobId, key::PublicKey};

use crate::{
    http::{PageQuery, in_order},
    queue::JobState,
    vpn::pool::Pool,
};

/// A new pool.
pub(in crate::vpn) struct PoolRow<'a> {
    pub network: IpNet,
    pub subnetwork_size: i16,
    pub vpn_hostname: &'a str,
    pub listen_port: i32,
    pub private_key: &'a [u8],
    pub key_id: &'a str,
    pub public_key: PublicKey,
}

/// A pool whose row is locked until the end of the transaction.
pub(in crate::vpn) struct LockedPool {
    pub pool_id: i64,
    pub network: IpNet,
    pub subnetwork_size: i16,
    pub vpn_hostname: String,
    pub listen_port: i32,
    pub public_key: PublicKey,
    pub next_public_key: Option<PublicKey>,
    pub applied_generation: i64,
    pub used: i32,
    pub deleting: bool,
}

pub(in crate::vpn) async fn insert_pool(tx: &mut PgConnection, pool: &PoolRow<'_>) -> sqlx::Result<i64> {
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

pub(in crate::vpn) async fn set_pool_job(tx: &mut PgConnection, pool_id: i64, job_id: JobId) -> sqlx::Result<()> {
    sqlx::query!("update vpn_pool set job_id = $2 where pool_id = $1", pool_id, job_id).execute(tx).await.map(drop)
}

/// Returns a page of the pools, or of a host's.
pub(in crate::vpn) async fn pools(
    db: impl PgExecutor<'_>,
    vpn_hostname: Option<&str>,
    window: PageQuery,
) -> sqlx::Result<Vec<Pool>> {
    in_order!(
        window,
        db,
        query_as<Pool>,
        id "pool_id",
        r#"select pool_id, network, subnetwork_size, vpn_hostname, listen_port, public_key as "public_key: PublicKey",
                  next_public_key as "next_public_key: PublicKey", used, capacity as "capacity!", generation,
                  applied_generation, deleting, vpn_pool.job_id, now.state as "job_state?: JobState",
                  coalesce(now.error, worker_silence(vpn_hostname, now.state, now.dispatched_at)) as job_error
           from vpn_pool
           left join job asked on asked.job_id = vpn_pool.job_id
           left join job now on now.job_id = coalesce(asked.superseded_by, asked.job_id)
           where ($3::text is null or vpn_hostname = $3)"#,
        vpn_hostname,
    )
}

pub(in crate::vpn) async fn overlapping_pool(db: &PgPool, network: IpNet) -> sqlx::Result<Option<(i64, IpNet)>> {
    let row = sqlx::query!("select pool_id, network from vpn_pool where network && $1 limit 1", network as _)
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| (row.pool_id, row.network)))
}

pub(in crate::vpn) async fn lock_pool(tx: &mut PgConnection, pool_id: i64) -> sqlx::Result<Option<LockedPool>> {
    sqlx::query_as!(
        LockedPool,
        r#"select pool_id, network, subnetwork_size, vpn_hostname, listen_port, public_key as "public_key: PublicKey",
                  next_public_key as "next_public_key: PublicKey", applied_generation, used, deleting
           from vpn_pool where pool_id = $1 for update"#,
        pool_id
    )
    .fetch_optional(tx)
    .await
}

pub(in crate::vpn) async fn raise_generation(tx: &mut PgConnection, pool_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "update vpn_pool set generation = next_generation(generation) where pool_id = $1 returning generation",
        pool_id
    )
    .fetch_one(tx)
    .await
}

/// Raises the pool's generation above one that its host has seen. Returns false if that generation is not plausible,
/// since the pool would run out of generations.
pub(in crate::vpn) async fn overtake(tx: &mut PgConnection, pool_id: i64, seen: i64) -> sqlx::Result<bool> {
    let raised = sqlx::query!(
        "update vpn_pool set generation = greatest(next_generation(generation), $2 + 1)
         where pool_id = $1 and $2 < (extract(epoch from now() + interval '1 year') * 1000000)::bigint",
        pool_id,
        seen
    )
    .execute(tx)
    .await?;
    Ok(raised.rows_affected() == 1)
}

pub(in crate::vpn) async fn mark_pool_deleting(tx: &mut PgConnection, pool_id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "update vpn_pool set deleting = true, generation = next_generation(generation) where pool_id = $1",
        pool_id
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Changes host and port of a pool, and sets the generation that every network of the pool now waits for.
pub(in crate::vpn) async fn change_pool(
    tx: &mut PgConnection,
    pool_id: i64,
    vpn_hostname: &str,
    listen_port: i32,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "with next as (select next_generation(generation) as generation from vpn_pool where pool_id = $1)
         update vpn_pool
         set vpn_hostname = $2, listen_port = $3, generation = next.generation, changed_generation = next.generation
         from next where pool_id = $1
         returning vpn_pool.generation",
        pool_id,
        vpn_hostname,
        listen_port,
    )
    .fetch_one(tx)
    .await
}

/// Records that a host still has to remove a pool's interface.
pub(in crate::vpn) async fn record_removal(
    tx: &mut PgConnection,
    pool_id: i64,
    vpn_hostname: &str,
    generation: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into vpn_pool_departure (pool_id, vpn_hostname, generation) values ($1, $2, $3)
         on conflict (pool_id, vpn_hostname) do update set generation = excluded.generation",
        pool_id,
        vpn_hostname,
        generation,
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Deletes the record of a removal, when the host has removed the interface or serves the pool again.
pub(in crate::vpn) async fn forget_departure(
    tx: &mut PgConnection,
    pool_id: i64,
    vpn_hostname: &str,
    confirmed: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from vpn_pool_departure where pool_id = $1 and vpn_hostname = $2 and generation <= $3",
        pool_id,
        vpn_hostname,
        confirmed,
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Sets a key that takes effect with the next generation.
pub(in crate::vpn) async fn set_next_key(
    tx: &mut PgConnection,
    pool_id: i64,
    private_key: &[u8],
    key_id: &str,
    public_key: PublicKey,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with next as (select next_generation(generation) as generation from vpn_pool where pool_id = $1)
         update vpn_pool
         set next_private_key = $2, next_private_key_key_id = $3, next_public_key = $4,
             generation = next.generation, next_key_generation = next.generation
         from next where pool_id = $1",
        pool_id,
        private_key,
        key_id,
        public_key.as_bytes(),
    )
    .execute(tx)
    .await
    .map(drop)
}
