//! The API's read-only operations on the networks of all customers, for staff only.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use super::network::NetworkBody;
use crate::{
    database::Database,
    error::Error,
    http::{Cursor, Id, Json, PageQuery, QueueText, Sort, Staff, Tags, UsernameText},
    vpn::{
        network::{Network, NetworkFilter},
        networks,
    },
};

/// A network with its customer.
#[derive(Debug, Object)]
#[oai(rename = "AdminVpnNetwork")]
struct OwnedBody {
    #[oai(flatten)]
    network: NetworkBody,
    /// The customer's id.
    user_id: i64,
    /// The customer's name.
    username: String,
    /// The id of the network's pool.
    pool_id: i64,
}

impl From<(Network, String)> for OwnedBody {
    fn from((network, username): (Network, String)) -> Self {
        let (user_id, pool_id) = (network.user_id, network.pool_id);
        Self { network: network.into(), user_id, username, pool_id }
    }
}

/// A page of networks.
#[derive(Debug, Object)]
#[oai(rename = "AdminVpnNetworkList", skip_serializing_if_is_none)]
struct OwnedList {
    /// The networks, in the requested sort order.
    items: Vec<OwnedBody>,
    /// The cursor of the next page; absent on the last page.
    next: Option<String>,
}

/// The operations on the networks of all customers.
pub struct AdminNetworkApi {
    /// The database with the networks.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/admin/net/vpn", tag = "Tags::Vpn")]
impl AdminNetworkApi {
    /// List all VPN networks
    ///
    /// Lists the networks of all customers in pages, the oldest first unless `sort` requests another order.
    #[expect(clippy::too_many_arguments, reason = "the framework declares query parameters as arguments")]
    #[oai(path = "/", method = "get", operation_id = "admin_vpn_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Returns only networks of the user with this name.
        username: Query<Option<UsernameText>>,
        /// Returns only networks of this pool.
        pool_id: Query<Option<Id>>,
        /// Returns only networks on this host.
        vpn_hostname: Query<Option<QueueText>>,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<OwnedList>, Error> {
        let filter = NetworkFilter {
            pool_id: pool_id.0.map(|id| id.0),
            vpn_hostname: vpn_hostname.0.map(|host| host.0.as_str().to_owned()),
            username: username.0.map(|name| name.0.as_str().to_owned()),
        };
        let window = PageQuery::new(limit.0, cursor.0, sort.0)?;
        let networks = networks::search(&self.pool, &filter, window).await?;
        let (networks, next) = window.page(networks, |(network, _)| network.network_id);
        Ok(Json(OwnedList { items: networks.into_iter().map(Into::into).collect(), next }))
    }

    /// Read a customer's VPN network
    ///
    /// Returns the network with its status, its customer and, while its host is being configured, the job.
    #[oai(path = "/:id", method = "get", operation_id = "admin_vpn_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the network.
        id: Path<Id>,
    ) -> Result<Json<OwnedBody>, Error> {
        let found = networks::search(&self.pool, &NetworkFilter::default(), PageQuery::only(id.0.0)).await?.pop();
        Ok(Json(found.ok_or_else(|| networks::not_found(id.0.0))?.into()))
    }
}
