//! Everybody's networks over HTTP; staff only, and only to look at.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use sqlx::PgPool;

use super::network::NetworkBody;
use crate::{
    error::Error,
    http::{Cursor, Id, QueueText, Sort, Staff, Tags, UsernameText, Window},
    vpn::{
        network::{Network, NetworkFilter},
        networks,
    },
};

/// A network and whose it is.
#[derive(Debug, Object)]
#[oai(rename = "AdminVpnNetwork")]
struct OwnedBody {
    #[oai(flatten)]
    network: NetworkBody,
    /// The customer.
    user_id: i64,
    /// The customer's name.
    username: String,
    /// The pool that it is from.
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
    /// In the order asked for.
    items: Vec<OwnedBody>,
    /// Cursor of the next page; absent on the last.
    next: Option<String>,
}

/// The operations on everybody's networks.
pub struct AdminNetworkApi {
    /// Where the networks are.
    pub pool: PgPool,
}

#[OpenApi(prefix_path = "/v1/admin/net/vpn", tag = "Tags::Vpn")]
impl AdminNetworkApi {
    /// List everybody's VPN networks
    ///
    /// The oldest first unless `sort` says otherwise, in pages.
    #[expect(clippy::too_many_arguments, reason = "the framework's way to say which parameters there are")]
    #[oai(path = "/", method = "get", operation_id = "admin_vpn_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Those of the user with this name.
        username: Query<Option<UsernameText>>,
        /// Those of this pool.
        pool_id: Query<Option<Id>>,
        /// Those on this host.
        vpn_hostname: Query<Option<QueueText>>,
        /// Networks on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<OwnedList>, Error> {
        let filter = NetworkFilter {
            network_id: None,
            pool_id: pool_id.0.map(|id| id.0),
            vpn_hostname: vpn_hostname.0.map(|host| host.0.as_str().to_owned()),
            username: username.0.map(|name| name.0.as_str().to_owned()),
        };
        let window = Window::new(limit.0, cursor.0, sort.0)?;
        let networks = networks::search(&self.pool, &filter, window).await?;
        let (networks, next) = window.page(networks, |(network, _)| network.network_id);
        Ok(Json(OwnedList { items: networks.into_iter().map(Into::into).collect(), next }))
    }

    /// Read anybody's VPN network
    ///
    /// With its status, whose it is and, while its host is being configured, the job.
    #[oai(path = "/:id", method = "get", operation_id = "admin_vpn_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the network.
        id: Path<Id>,
    ) -> Result<Json<OwnedBody>, Error> {
        let filter = NetworkFilter { network_id: Some(id.0.0), ..NetworkFilter::default() };
        let found = networks::search(&self.pool, &filter, Window::all()).await?.pop();
        Ok(Json(found.ok_or_else(|| networks::not_found(id.0.0))?.into()))
    }
}
