//! The API's operations on the caller's own networks.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::PlainText,
    types::ToJSON as _,
};
use serde_json::Value;

use super::scalars::PublicKeyText;
use crate::{
    database::Database,
    error::Error,
    http::{AuthenticatedUser, Body, Cursor, Id, Json, Number, PageQuery, Representation, Sort, Tags, input},
    queue::{JobRef, Notifier},
    services::Placed,
    vpn::{
        change,
        network::{Network, NetworkRequest},
        networks, order,
        status::NetworkStatus,
        traffic,
    },
};

input! {
    /// A network to be created.
    pub struct VpnNetworkCreate {
        /// The length of the requested prefix.
        pub network_size: Number<1, 128>,
        /// The customer's public key, as `wg pubkey` prints it.
        pub wireguard_public_key: PublicKeyText,
    }
}

input! {
    /// An update of a network.
    pub struct VpnNetworkUpdate {
        /// The customer's new public key; the prefix does not change.
        pub wireguard_public_key: PublicKeyText,
    }
}

/// A prefix that is routed to a customer through a WireGuard tunnel.
#[derive(Debug, Object)]
#[oai(rename = "VpnNetwork", skip_serializing_if_is_none)]
pub(super) struct NetworkBody {
    /// Identifies the network.
    id: i64,
    /// The id of the network's order, as in `GET /v1/order/{id}`.
    order: i64,
    /// The prefix.
    network: String,
    /// The phase of the network's life cycle.
    status: NetworkStatus,
    /// The reason for which the network does not work, or not fully.
    status_reason: Option<String>,
    /// The customer's public key.
    wireguard_public_key: String,
    /// The host and UDP port of the server.
    endpoint: String,
    /// The server's public key.
    server_public_key: String,
    /// The generation of the pool that the host last confirmed.
    applied_generation: i64,
    /// The job that carries the last change.
    job: Option<JobRef>,
}

impl From<Network> for NetworkBody {
    fn from(network: Network) -> Self {
        let status_reason = network.reason();
        Self {
            id: network.network_id,
            order: network.order_id,
            network: network.network.to_string(),
            status: network.status(),
            status_reason,
            wireguard_public_key: network.public_key.to_string(),
            endpoint: format!("{}:{}", network.vpn_hostname, network.listen_port),
            server_public_key: network.server_public_key.to_string(),
            applied_generation: network.applied_generation,
            job: JobRef::of(network.job_id, network.job_state),
        }
    }
}

impl Representation for Network {
    fn representation(self) -> Option<Value> {
        NetworkBody::from(self).to_json()
    }
}

/// A page of networks.
#[derive(Debug, Object)]
#[oai(rename = "VpnNetworkList", skip_serializing_if_is_none)]
struct NetworkList {
    /// The networks, in the requested sort order.
    items: Vec<NetworkBody>,
    /// The cursor of the next page; absent on the last page.
    next: Option<String>,
}

/// The state of a network's tunnel as the host reports it.
#[derive(Debug, Object)]
#[oai(rename = "VpnNetworkStatus", skip_serializing_if_is_none)]
struct StatusBody {
    /// The time of the host's report; absent if the host has not reported for a minute.
    observed_at: Option<DateTime<Utc>>,
    /// The customer's latest handshake; absent if there was none since the interface was set up.
    latest_handshake_at: Option<DateTime<Utc>>,
    /// The number of bytes that the host received from the customer since the interface was set up.
    received_bytes: Option<i64>,
    /// The number of bytes that the host sent to the customer.
    sent_bytes: Option<i64>,
    /// The reason for which there are no figures.
    status_reason: Option<String>,
}

#[derive(ApiResponse)]
enum NetworkCreated {
    /// The network is created; its host is being set up.
    #[oai(status = 201)]
    Created(
        Json<NetworkBody>,
        /// The path of the network.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
enum NetworkDeleting {
    /// The host is removing the network, which is gone when the job has succeeded.
    #[oai(status = 202)]
    Deleting(Json<NetworkBody>),
}

/// The operations on the caller's own networks.
pub struct NetworkApi {
    /// The database with the networks.
    pub pool: Database,
    /// The notifier that wakes the relay.
    pub wake: Arc<Notifier>,
    /// Called in the transaction that places the network's order.
    pub placed: Placed,
}

#[OpenApi(prefix_path = "/v1/net/vpn", tag = "Tags::Vpn")]
impl NetworkApi {
    /// Request a VPN network
    ///
    /// Orders the product that the VPN hosts provision. The server chooses the prefix. Follow the job, or read the
    /// network again, to see when it is active.
    #[oai(path = "/", method = "post", operation_id = "vpn_create")]
    async fn create(&self, caller: AuthenticatedUser, body: Body<VpnNetworkCreate>) -> Result<NetworkCreated, Error> {
        let request = NetworkRequest { size: body.0.network_size.get(), public_key: body.0.wireguard_public_key.0 };
        let network = order::order(&self.pool, self.placed, &caller.0, request).await?;
        self.wake.queued();
        let location = format!("/v1/net/vpn/{}", network.network_id);
        Ok(NetworkCreated::Created(Json(network.into()), location))
    }

    /// List my VPN networks
    ///
    /// Lists my networks in pages, the oldest first unless `sort` requests another order.
    #[oai(path = "/", method = "get", operation_id = "vpn_list")]
    async fn list(
        &self,
        caller: AuthenticatedUser,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<NetworkList>, Error> {
        let window = PageQuery::new(limit.0, cursor.0, sort.0)?;
        let networks = networks::list(&self.pool, &caller.0, window).await?;
        let (networks, next) = window.page(networks, |network| network.network_id);
        Ok(Json(NetworkList { items: networks.into_iter().map(Into::into).collect(), next }))
    }

    /// Read a VPN network
    ///
    /// Returns the network with its status and, while its host is being configured, the job.
    #[oai(path = "/:id", method = "get", operation_id = "vpn_read")]
    async fn read(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the network.
        id: Path<Id>,
    ) -> Result<Json<NetworkBody>, Error> {
        Ok(Json(networks::find(&self.pool, &caller.0, id.0.0).await?.into()))
    }

    /// Read the WireGuard configuration
    ///
    /// Returns a file for `wg-quick`, complete except for the private key, which the server does not know.
    #[oai(path = "/:id/config", method = "get", operation_id = "vpn_config")]
    async fn config(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the network.
        id: Path<Id>,
    ) -> Result<PlainText<String>, Error> {
        Ok(PlainText(networks::find(&self.pool, &caller.0, id.0.0).await?.client_config()))
    }

    /// Delete a VPN network
    ///
    /// Cancels its order too. The server reuses the prefix only after the host has confirmed the removal.
    #[oai(path = "/:id", method = "delete", operation_id = "vpn_delete")]
    async fn delete(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the network.
        id: Path<Id>,
    ) -> Result<NetworkDeleting, Error> {
        let network = order::delete(&self.pool, &caller.0, id.0.0).await?;
        self.wake.queued();
        Ok(NetworkDeleting::Deleting(Json(network.into())))
    }

    /// Change the key of a VPN network
    ///
    /// The prefix does not change; the old key stops working when the host has confirmed the new one.
    #[oai(path = "/:id", method = "patch", operation_id = "vpn_update")]
    async fn update(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the network.
        id: Path<Id>,
        body: Body<VpnNetworkUpdate>,
    ) -> Result<Json<NetworkBody>, Error> {
        let network = change::change_network_key(&self.pool, &caller.0, id.0.0, body.0.wireguard_public_key.0).await?;
        self.wake.queued();
        Ok(Json(network.into()))
    }

    /// Read the status of the tunnel
    ///
    /// Returns the latest handshake and the traffic as the host reports them, never older than a minute.
    #[oai(path = "/:id/status", method = "get", operation_id = "vpn_status")]
    async fn status(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the network.
        id: Path<Id>,
    ) -> Result<Json<StatusBody>, Error> {
        let traffic = traffic::read(&self.pool, &self.wake, &caller.0, id.0.0).await?;
        Ok(Json(StatusBody {
            observed_at: traffic.observed_at,
            latest_handshake_at: traffic.latest_handshake_at,
            received_bytes: traffic.received_bytes,
            sent_bytes: traffic.sent_bytes,
            status_reason: traffic.reason,
        }))
    }
}
