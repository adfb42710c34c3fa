//! Networks: the sub-prefixes that customers request.

use ipnet::IpNet;
use uncloud_wire::{JobId, key::PublicKey};

use super::prefix;
use crate::{queue::JobState, vpn::status::NetworkStatus};

/// What a customer says of a network that is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Length of the prefix.
    pub size: u8,
    /// The customer's key.
    pub public_key: PublicKey,
}

/// A network as its owner sees it.
#[derive(Debug, Clone)]
pub struct Network {
    /// Identifies it.
    pub network_id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// The order that it is delivered for.
    pub order_id: i64,
    /// The pool that it is from.
    pub pool_id: i64,
    /// The prefix.
    pub network: IpNet,
    /// The customer's key.
    pub public_key: PublicKey,
    /// The host.
    pub vpn_hostname: String,
    /// UDP port.
    pub listen_port: i32,
    /// The host's key.
    pub server_public_key: PublicKey,
    /// The pool's generation that first carries the network and its pool as they are.
    pub generation: i64,
    /// What the host last confirmed.
    pub applied_generation: i64,
    /// To be removed.
    pub deleting: bool,
    /// The job that carries the last change.
    pub job_id: Option<JobId>,
    /// Where that job is.
    pub job_state: Option<JobState>,
    /// Why that job does not get on.
    pub job_trouble: Option<String>,
    /// The missing capability, where the host only pretends.
    pub dry_run: Option<String>,
}

impl Network {
    /// Where it is in its life.
    pub fn status(&self) -> NetworkStatus {
        NetworkStatus::of(self.deleting, (self.generation, self.applied_generation), self.job_state)
    }

    /// Why it is not (fully) working, for a person.
    pub fn reason(&self) -> Option<String> {
        match self.status() {
            NetworkStatus::Active => self.dry_run.as_ref().map(|missing| format!("dry run, no tunnel: {missing}")),
            NetworkStatus::Pending | NetworkStatus::Failed | NetworkStatus::Deleting => self.job_trouble.clone(),
        }
    }

    /// WireGuard configuration for the customer (wg-quick(8)), complete but for the private key.
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

/// Which of everybody's networks staff ask for; what is none does not matter.
#[derive(Debug, Clone, Default)]
pub struct NetworkFilter {
    /// That one.
    pub network_id: Option<i64>,
    /// Those of a pool.
    pub pool_id: Option<i64>,
    /// Those on a host.
    pub vpn_hostname: Option<String>,
    /// Those of a user.
    pub username: Option<String>,
}
