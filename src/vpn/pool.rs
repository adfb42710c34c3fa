//! Pools: prefixes that staff assign to VPN hosts.

use ipnet::IpNet;
use uncloud_wire::{
    JobId,
    key::{PrivateKey, PublicKey},
};

use super::{hostname::Hostname, status::NetworkStatus};
use crate::queue::JobState;

/// A request of staff for a pool.
#[derive(Debug)]
pub struct NewPool {
    /// The prefix as it was written, with or without its length.
    pub network: String,
    /// The length of the prefix, if `network` has none.
    pub network_size: Option<u8>,
    /// The prefix length of the customers' networks.
    pub subnetwork_size: u8,
    /// The name of the host.
    pub vpn_hostname: Hostname,
    /// The UDP port of the host.
    pub listen_port: u16,
    /// The host's private key; generated if none.
    pub private_key: Option<PrivateKey>,
}

/// A pool as staff see it.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Identifies the pool, and names its interface `wg-<id>`.
    pub pool_id: i64,
    /// The prefix.
    pub network: IpNet,
    /// The prefix length of the customers' networks.
    pub subnetwork_size: i16,
    /// The name of the host.
    pub vpn_hostname: String,
    /// The UDP port of the host.
    pub listen_port: i32,
    /// The host's public key.
    pub public_key: PublicKey,
    /// The key that replaces the present one when the host has confirmed it.
    pub next_public_key: Option<PublicKey>,
    /// The number of allocated networks, including those being deleted.
    pub used: i32,
    /// The number of networks that fit into the pool.
    pub capacity: i32,
    /// The generation of the last change.
    pub generation: i64,
    /// The generation that the host last confirmed.
    pub applied_generation: i64,
    /// True while the pool is being removed from its host.
    pub deleting: bool,
    /// The id of the last change's job.
    pub job_id: Option<JobId>,
    /// The state of that job.
    pub job_state: Option<JobState>,
    /// The reason for which that job is stuck.
    pub job_error: Option<String>,
}

impl Pool {
    /// Returns the phase of the life cycle of the pool with all its networks.
    pub fn status(&self) -> NetworkStatus {
        NetworkStatus::of(self.deleting, (self.generation, self.applied_generation), self.job_state)
    }

    /// Returns the reason for which the last change is not in effect, for people.
    pub fn reason(&self) -> Option<String> {
        self.job_error.clone().filter(|_| self.applied_generation < self.generation)
    }
}
