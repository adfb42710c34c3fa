//! Pools over HTTP; staff only.

use std::sync::Arc;

use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::ToJSON as _,
};
use serde_json::Value;
use sqlx::PgPool;

use super::scalars::{HostnameText, PrefixText, PrivateKeyText};
use crate::{
    error::Error,
    http::{Body, Cursor, Id, Number, QueueText, Shown, Sort, Staff, Tags, Window, input},
    queue::{JobRef, Wake},
    seal::Sealer,
    vpn::{
        NetworkStatus,
        change::{self, PoolChange},
        pool::{NewPool, Pool},
        pools,
    },
};

input! {
    /// A pool to be made.
    pub struct VpnPoolCreate {
        /// The prefix that is routed to the host, with its length after a slash or in `network_size`.
        pub network: PrefixText,
        /// Length of the prefix, where `network` has none.
        pub network_size: Option<Number<0, 128>>,
        /// Length of the networks that customers get.
        pub subnetwork_size: Number<1, 128>,
        /// Full name of the host; its worker is started with `--queue` and this name.
        pub vpn_hostname: HostnameText,
        /// UDP port of the host; 51820 when left out.
        pub listen_port: Option<Number<1, 65535>>,
        /// The host's private key, as `wg genkey` prints it; made by the server when left out. Never shown again.
        pub wireguard_private_key: Option<PrivateKeyText>,
    }
}

input! {
    /// What to change of a pool; what is left out stays.
    pub struct VpnPoolUpdate {
        /// Another host; the one before removes the interface.
        pub vpn_hostname: Option<HostnameText>,
        /// Another UDP port.
        pub listen_port: Option<Number<1, 65535>>,
    }
}

input! {
    /// A new key of a pool's host.
    pub struct VpnPoolKeyCreate {
        /// The private key, as `wg genkey` prints it; made by the server when left out. Never shown again.
        pub wireguard_private_key: Option<PrivateKeyText>,
    }
}

/// A prefix from which customers get networks, on one VPN host.
#[derive(Debug, Object)]
#[oai(rename = "VpnPool", skip_serializing_if_is_none)]
struct PoolBody {
    /// Identifies the pool; its interface on the host is named `wg-<id>`.
    id: i64,
    /// The prefix.
    network: String,
    /// Its length.
    network_size: u8,
    /// Length of the networks that customers get.
    subnetwork_size: i16,
    /// The host, at once the queue of its worker.
    vpn_hostname: String,
    /// UDP port.
    listen_port: i32,
    /// The host's public key.
    wireguard_public_key: String,
    /// The key that takes its place as soon as the host has confirmed it.
    next_wireguard_public_key: Option<String>,
    /// Networks taken, those being deleted among them.
    used: i32,
    /// Networks that can still be given out.
    free: i32,
    /// Whether its host has it and its networks as they should be.
    status: NetworkStatus,
    /// True while the host still has to remove it.
    deleting: bool,
    /// What the host last confirmed.
    applied_generation: i64,
    /// Why the last change is not in effect.
    status_reason: Option<String>,
    /// The job that carries the last change of the pool itself.
    job: Option<JobRef>,
}

impl From<Pool> for PoolBody {
    fn from(pool: Pool) -> Self {
        let (status, status_reason) = (pool.status(), pool.reason());
        Self {
            id: pool.pool_id,
            network: pool.network.to_string(),
            network_size: pool.network.prefix_len(),
            subnetwork_size: pool.subnetwork_size,
            vpn_hostname: pool.vpn_hostname,
            listen_port: pool.listen_port,
            wireguard_public_key: pool.public_key.to_string(),
            next_wireguard_public_key: pool.next_public_key.map(|key| key.to_string()),
            used: pool.used,
            free: pool.capacity - pool.used,
            status,
            deleting: pool.deleting,
            applied_generation: pool.applied_generation,
            status_reason,
            job: JobRef::of(pool.job_id, pool.job_state),
        }
    }
}

impl Shown for Pool {
    fn shown(self) -> Option<Value> {
        PoolBody::from(self).to_json()
    }
}

/// A page of pools.
#[derive(Debug, Object)]
#[oai(rename = "VpnPoolList", skip_serializing_if_is_none)]
struct PoolList {
    /// In the order asked for.
    items: Vec<PoolBody>,
    /// Cursor of the next page; absent on the last.
    next: Option<String>,
}

#[derive(ApiResponse)]
enum PoolCreated {
    /// Made; its host is being set up.
    #[oai(status = 201)]
    Created(
        Json<PoolBody>,
        /// Where the pool is.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
enum PoolDeleting {
    /// Its host is removing it; it is gone when the job has succeeded.
    #[oai(status = 202)]
    Deleting(Json<PoolBody>),
}

#[derive(ApiResponse)]
enum PoolKeyRotating {
    /// The host is given its new key.
    #[oai(status = 202)]
    Rotating(Json<PoolBody>),
}

/// The operations on pools; staff only.
pub struct PoolApi {
    /// Where the pools are.
    pub pool: PgPool,
    /// Closes private keys.
    pub sealer: Arc<Sealer>,
    /// Wakes the relay.
    pub wake: Arc<Wake>,
}

#[OpenApi(prefix_path = "/v1/admin/vpnpool", tag = "Tags::VpnPools")]
impl PoolApi {
    /// Make a VPN pool
    ///
    /// Its host gets a WireGuard interface for it; the job says when that is done. Prefixes of pools do not overlap.
    #[oai(path = "/", method = "post", operation_id = "admin_vpnpool_create")]
    async fn create(&self, staff: Staff, body: Body<VpnPoolCreate>) -> Result<PoolCreated, Error> {
        let new = body.0;
        let new = NewPool {
            network: new.network.0,
            network_size: new.network_size.map(Number::get),
            subnetwork_size: new.subnetwork_size.get(),
            vpn_hostname: new.vpn_hostname.0,
            listen_port: new.listen_port.map_or(51820, Number::get),
            private_key: new.wireguard_private_key.map(|key| key.0),
        };
        let pool = pools::create(&self.pool, &self.sealer, &staff.0, new).await?;
        self.wake.queued();
        let location = format!("/v1/admin/vpnpool/{}", pool.pool_id);
        Ok(PoolCreated::Created(Json(pool.into()), location))
    }

    /// List VPN pools
    ///
    /// The oldest first unless `sort` says otherwise, in pages.
    #[oai(path = "/", method = "get", operation_id = "admin_vpnpool_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Those of this host.
        vpn_hostname: Query<Option<QueueText>>,
        /// Pools on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<PoolList>, Error> {
        let window = Window::new(limit.0, cursor.0, sort.0)?;
        let host = vpn_hostname.0.map(|host| String::from(host.0));
        let pools = pools::list(&self.pool, host.as_deref(), window).await?;
        let (pools, next) = window.page(pools, |pool| pool.pool_id);
        Ok(Json(PoolList { items: pools.into_iter().map(Into::into).collect(), next }))
    }

    /// Read a VPN pool
    ///
    /// With how many of its networks are used and, while its host is being configured, the job.
    #[oai(path = "/:id", method = "get", operation_id = "admin_vpnpool_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the pool.
        id: Path<Id>,
    ) -> Result<Json<PoolBody>, Error> {
        Ok(Json(pools::find(&self.pool, id.0.0).await?.into()))
    }

    /// Delete a VPN pool
    ///
    /// Refused while it has networks.
    #[oai(path = "/:id", method = "delete", operation_id = "admin_vpnpool_delete")]
    async fn delete(
        &self,
        staff: Staff,
        /// Identifies the pool.
        id: Path<Id>,
    ) -> Result<PoolDeleting, Error> {
        let pool = pools::delete(&self.pool, &staff.0, id.0.0).await?;
        self.wake.queued();
        Ok(PoolDeleting::Deleting(Json(pool.into())))
    }

    /// Change a VPN pool
    ///
    /// Its networks are pending until the host has confirmed.
    #[oai(path = "/:id", method = "patch", operation_id = "admin_vpnpool_update")]
    async fn edit(
        &self,
        staff: Staff,
        /// Identifies the pool.
        id: Path<Id>,
        body: Body<VpnPoolUpdate>,
    ) -> Result<Json<PoolBody>, Error> {
        let change = PoolChange {
            vpn_hostname: body.0.vpn_hostname.map(|name| name.0),
            listen_port: body.0.listen_port.map(Number::get),
        };
        let pool = change::change_pool(&self.pool, &staff.0, id.0.0, change).await?;
        self.wake.queued();
        Ok(Json(pool.into()))
    }

    /// Rotate the key of a VPN pool's host
    ///
    /// The old key is shown to customers until the host has confirmed the new one.
    #[oai(path = "/:id/key", method = "post", operation_id = "admin_vpnpool_rotate_key")]
    async fn rotate_key(
        &self,
        staff: Staff,
        /// Identifies the pool.
        id: Path<Id>,
        body: Body<VpnPoolKeyCreate>,
    ) -> Result<PoolKeyRotating, Error> {
        let key = body.0.wireguard_private_key.map(|key| key.0);
        let pool = change::rotate_pool_key(&self.pool, &self.sealer, &staff.0, id.0.0, key).await?;
        self.wake.queued();
        Ok(PoolKeyRotating::Rotating(Json(pool.into())))
    }
}
