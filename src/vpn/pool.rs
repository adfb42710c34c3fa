//! Pools: prefixes that staff give to VPN hosts.

use ipnet::IpNet;
use uncloud_wire::{
    JobId,
    key::{PrivateKey, PublicKey},
};

use super::{hostname::Hostname, status::NetworkStatus};
use crate::queue::JobState;

/// What staff ask for.
#[derive(Debug)]
pub struct NewPool {
    /// The prefix as it was written, with or without its length.
    pub network: String,
    /// Its length, where `network` has none.
    pub network_size: Option<u8>,
    /// Prefix length of the customers' networks.
    pub subnetwork_size: u8,
    /// The host.
    pub vpn_hostname: Hostname,
    /// UDP port.
    pub listen_port: u16,
    /// The host's key; none: made here.
    pub private_key: Option<PrivateKey>,
}

/// A pool as staff see it.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Identifies it, and names its interface `wg-<id>`.
    pub pool_id: i64,
    /// The prefix.
    pub network: IpNet,
    /// Prefix length of the customers' networks.
    pub subnetwork_size: i16,
    /// The host.
    pub vpn_hostname: String,
    /// UDP port.
    pub listen_port: i32,
    /// The host's key.
    pub public_key: PublicKey,
    /// The key that takes its place when the host has confirmed.
    pub next_public_key: Option<PublicKey>,
    /// Networks taken, being deleted among them.
    pub used: i32,
    /// Networks that fit.
    pub capacity: i32,
    /// Of the last change.
    pub generation: i64,
    /// What the host last confirmed.
    pub applied_generation: i64,
    /// Being removed from its host.
    pub deleting: bool,
    /// The last change's job.
    pub job_id: Option<JobId>,
    /// Where that job is.
    pub job_state: Option<JobState>,
    /// Why that job does not get on.
    pub job_trouble: Option<String>,
}

impl Pool {
    /// Where it is in its life, with all of its networks.
    pub fn status(&self) -> NetworkStatus {
        NetworkStatus::of(self.deleting, (self.generation, self.applied_generation), self.job_state)
    }

    /// Why the last change is not in effect, for a person.
    pub fn reason(&self) -> Option<String> {
        self.job_trouble.clone().filter(|_| self.applied_generation < self.generation)
    }
}
