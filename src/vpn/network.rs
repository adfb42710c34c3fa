//! Networks: the sub-prefixes that customers request.

use ipnet::IpNet;
use uncloud_wire::{JobId, key::PublicKey};

use super::prefix;
use crate::{queue::JobState, vpn::status::NetworkStatus};

/// A customer's request for a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkRequest {
    /// The length of the prefix.
    pub size: u8,
    /// The customer's public key.
    pub public_key: PublicKey,
}

/// A network as its customer sees it.
#[derive(Debug, Clone)]
pub struct Network {
    /// Identifies the network.
    pub network_id: i64,
    /// The customer's id.
    pub user_id: i64,
    /// The id of the network's order.
    pub order_id: i64,
    /// The id of the network's pool.
    pub pool_id: i64,
    /// The prefix.
    pub network: IpNet,
    /// The customer's public key.
    pub public_key: PublicKey,
    /// The name of the host.
    pub vpn_hostname: String,
    /// The UDP port of the host.
    pub listen_port: i32,
    /// The host's public key.
    pub server_public_key: PublicKey,
    /// The pool's generation that first carries the network and its pool as they are.
    pub generation: i64,
    /// The generation that the host last confirmed.
    pub applied_generation: i64,
    /// True while the host has to remove the network.
    pub deleting: bool,
    /// The id of the job that carries the last change.
    pub job_id: Option<JobId>,
    /// The state of that job.
    pub job_state: Option<JobState>,
    /// The reason for which that job is stuck.
    pub job_error: Option<String>,
    /// The missing capability, if the host only simulates changes.
    pub dry_run: Option<String>,
}

impl Network {
    /// Returns the phase of the network's life cycle.
    pub fn status(&self) -> NetworkStatus {
        NetworkStatus::of(self.deleting, (self.generation, self.applied_generation), self.job_state)
    }

    /// Returns the reason for which the network does not work, or not fully, for people.
    pub fn reason(&self) -> Option<String> {
        match self.status() {
            NetworkStatus::Active => self.dry_run.as_ref().map(|missing| format!("dry run, no tunnel: {missing}")),
            NetworkStatus::Pending | NetworkStatus::Failed | NetworkStatus::Deleting => self.job_error.clone(),
        }
    }

    /// Returns the customer's WireGuard configuration (wg-quick(8)), complete except for the private key.
    pub fn client_config(&self) -> String {
        let everything = if self.network.addr().is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        format!(
            "[Interface]\n\
             # The private key whose public key is {}\n\
             PrivateKey = \n\
             Address = {}\n\
             \n\
             [Peer]\n\
             PublicKey = {}\n\
             Endpoint = {}:{}\n\
             AllowedIPs = {everything}\n\
             PersistentKeepalive = 25\n",
            self.public_key,
            prefix::first_address(self.network),
            self.server_public_key,
            self.vpn_hostname,
            self.listen_port,
        )
    }
}

/// A filter for the networks of all customers; none matches all.
#[derive(Debug, Clone, Default)]
pub struct NetworkFilter {
    /// The pool's id.
    pub pool_id: Option<i64>,
    /// The name of the host.
    pub vpn_hostname: Option<String>,
    /// The customer's name.
    pub username: Option<String>,
}
