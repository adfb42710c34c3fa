//! VPN pools and networks over HTTP.

use std::sync::Arc;

use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::{Json, PlainText},
};
use sqlx::PgPool;

use super::{
    network::{self, Network, NetworkStatus},
    pool::{self, NewPool, Pool},
};
use crate::{
    error::Error,
    http::{
        Body, Cursor, HostnameText, Id, Number, PrefixText, PrivateKeyText, PublicKeyText, SignedIn, Staff, Tags,
        Window, input, page,
    },
    queue::{JobRef, Wake},
    seal::Sealer,
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
    /// A network to be made.
    pub struct VpnNetworkCreate {
        /// Length of the wanted prefix.
        pub network_size: Number<1, 128>,
        /// The customer's public key, as `wg pubkey` prints it.
        pub wireguard_public_key: PublicKeyText,
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
    /// Networks taken, those being deleted among them.
    used: i32,
    /// Networks that can still be given out.
    free: i32,
    /// True while the host still has to remove it.
    deleting: bool,
    /// What the host last confirmed.
    applied_generation: i64,
    /// The job that carries the last change of the pool itself.
    job: Option<JobRef>,
}

impl From<Pool> for PoolBody {
    fn from(pool: Pool) -> Self {
        Self {
            id: pool.pool_id,
            network: pool.network.to_string(),
            network_size: pool.network.prefix_len(),
            subnetwork_size: pool.subnetwork_size,
            vpn_hostname: pool.vpn_hostname,
            listen_port: pool.listen_port,
            wireguard_public_key: pool.public_key.to_string(),
            used: pool.used,
            free: pool.capacity - pool.used,
            deleting: pool.deleting,
            applied_generation: pool.applied_generation,
            job: JobRef::of(pool.job_id, pool.job_state),
        }
    }
}

/// A prefix that is routed to a customer through a WireGuard tunnel.
#[derive(Debug, Object)]
#[oai(rename = "VpnNetwork", skip_serializing_if_is_none)]
struct NetworkBody {
    /// Identifies the network.
    id: i64,
    /// The prefix.
    network: String,
    /// Where it is in its life.
    status: NetworkStatus,
    /// Why it does not (fully) work.
    reason: Option<String>,
    /// The customer's key.
    wireguard_public_key: String,
    /// Host and UDP port of the server.
    endpoint: String,
    /// The server's key.
    server_public_key: String,
    /// The generation of the pool that the host last confirmed.
    applied_generation: i64,
    /// The job that carries the last change.
    job: Option<JobRef>,
}

impl From<Network> for NetworkBody {
    fn from(network: Network) -> Self {
        Self {
            id: network.network_id,
            network: network.network.to_string(),
            status: network.status(),
            reason: network.reason(),
            wireguard_public_key: network.public_key.to_string(),
            endpoint: format!("{}:{}", network.vpn_hostname, network.listen_port),
            server_public_key: network.server_public_key.to_string(),
            applied_generation: network.applied_generation,
            job: JobRef::of(network.job_id, network.job_state),
        }
    }
}

/// A page of pools.
#[derive(Debug, Object)]
#[oai(rename = "VpnPoolList", skip_serializing_if_is_none)]
struct PoolList {
    /// By id.
    items: Vec<PoolBody>,
    /// Cursor of the next page; absent on the last.
    next: Option<String>,
}

/// A page of networks.
#[derive(Debug, Object)]
#[oai(rename = "VpnNetworkList", skip_serializing_if_is_none)]
struct NetworkList {
    /// By id.
    items: Vec<NetworkBody>,
    /// Cursor of the next page; absent on the last.
    next: Option<String>,
}

const fn page_size() -> u8 {
    50
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
enum NetworkCreated {
    /// Made; its host is being set up.
    #[oai(status = 201)]
    Created(
        Json<NetworkBody>,
        /// Where the network is.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
enum NetworkDeleting {
    /// Its host is removing it; it is gone when the job has succeeded.
    #[oai(status = 202)]
    Deleting(Json<NetworkBody>),
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
    #[oai(path = "/", method = "post", operation_id = "vpnpool_create")]
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
        let pool = pool::create(&self.pool, &self.sealer, &staff.0, new).await?;
        self.wake.queued();
        let location = format!("/v1/admin/vpnpool/{}", pool.pool_id);
        Ok(PoolCreated::Created(Json(pool.into()), location))
    }

    /// List VPN pools
    #[oai(path = "/", method = "get", operation_id = "vpnpool_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Pools on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Json<PoolList>, Error> {
        let window = Window::new(limit.0, cursor.0);
        let (pools, next) = page(pool::list(&self.pool, window).await?, window, |pool| pool.pool_id);
        Ok(Json(PoolList { items: pools.into_iter().map(Into::into).collect(), next }))
    }

    /// Read a VPN pool
    #[oai(path = "/:id", method = "get", operation_id = "vpnpool_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the pool.
        id: Path<Id>,
    ) -> Result<Json<PoolBody>, Error> {
        Ok(Json(pool::find(&self.pool, id.0.0).await?.into()))
    }

    /// Delete a VPN pool
    ///
    /// Refused while it has networks.
    #[oai(path = "/:id", method = "delete", operation_id = "vpnpool_delete")]
    async fn delete(
        &self,
        staff: Staff,
        /// Identifies the pool.
        id: Path<Id>,
    ) -> Result<PoolDeleting, Error> {
        let pool = pool::delete(&self.pool, &staff.0, id.0.0).await?;
        self.wake.queued();
        Ok(PoolDeleting::Deleting(Json(pool.into())))
    }
}

/// The operations on networks; everybody's own.
pub struct NetworkApi {
    /// Where the networks are.
    pub pool: PgPool,
    /// Wakes the relay.
    pub wake: Arc<Wake>,
}

#[OpenApi(prefix_path = "/v1/net/vpn", tag = "Tags::Vpn")]
impl NetworkApi {
    /// Request a VPN network
    ///
    /// The prefix is chosen by the server. Follow the job, or read the network again, to see when it is active.
    #[oai(path = "/", method = "post", operation_id = "vpn_create")]
    async fn create(&self, caller: SignedIn, body: Body<VpnNetworkCreate>) -> Result<NetworkCreated, Error> {
        let size = body.0.network_size.get();
        let network = network::create(&self.pool, &caller.0, size, body.0.wireguard_public_key.0).await?;
        self.wake.queued();
        let location = format!("/v1/net/vpn/{}", network.network_id);
        Ok(NetworkCreated::Created(Json(network.into()), location))
    }

    /// List my VPN networks
    #[oai(path = "/", method = "get", operation_id = "vpn_list")]
    async fn list(
        &self,
        caller: SignedIn,
        /// Networks on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Json<NetworkList>, Error> {
        let window = Window::new(limit.0, cursor.0);
        let networks = network::list(&self.pool, &caller.0, window).await?;
        let (networks, next) = page(networks, window, |network| network.network_id);
        Ok(Json(NetworkList { items: networks.into_iter().map(Into::into).collect(), next }))
    }

    /// Read a VPN network
    #[oai(path = "/:id", method = "get", operation_id = "vpn_read")]
    async fn read(
        &self,
        caller: SignedIn,
        /// Identifies the network.
        id: Path<Id>,
    ) -> Result<Json<NetworkBody>, Error> {
        Ok(Json(network::find(&self.pool, &caller.0, id.0.0).await?.into()))
    }

    /// Read the WireGuard configuration
    ///
    /// A file for `wg-quick`, complete but for the private key, which the server does not know.
    #[oai(path = "/:id/config", method = "get", operation_id = "vpn_config")]
    async fn config(
        &self,
        caller: SignedIn,
        /// Identifies the network.
        id: Path<Id>,
    ) -> Result<PlainText<String>, Error> {
        Ok(PlainText(network::find(&self.pool, &caller.0, id.0.0).await?.client_config()))
    }

    /// Delete a VPN network
    ///
    /// The prefix is given to somebody else only after the host has confirmed.
    #[oai(path = "/:id", method = "delete", operation_id = "vpn_delete")]
    async fn delete(
        &self,
        caller: SignedIn,
        /// Identifies the network.
        id: Path<Id>,
    ) -> Result<NetworkDeleting, Error> {
        let network = network::delete(&self.pool, &caller.0, id.0.0).await?;
        self.wake.queued();
        Ok(NetworkDeleting::Deleting(Json(network.into())))
    }
}
