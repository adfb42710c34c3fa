//! The desired state of one WireGuard interface, and what a host reports back: the contract between
//! the provider and `uncloud-worker`. Additive only; [`VERSION`] rises when an old worker could misread it.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::key::{PrivateKey, PublicKey};

/// The newest version of [`DesiredInterface`] that this program understands.
pub const VERSION: u32 = 1;

/// Bytes per packet inside the tunnel: 1500 less the largest WireGuard overhead over IPv6 (80).
pub const MTU: u16 = 1420;

/// Name of a network interface: `wg-` and the pool's id, at most 15 bytes (Linux, IFNAMSIZ).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfaceName(String);

/// Why a text is not the name of an interface of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an interface is named wg- and 1 to 12 digits or lower-case letters, as in wg-42")]
pub struct InterfaceNameError;

impl InterfaceName {
    /// The interface that serves a pool.
    pub fn for_pool(pool_id: i64) -> Self {
        Self(format!("wg-{pool_id}"))
    }

    /// The name as the commands take it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = InterfaceNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.strip_prefix("wg-").ok_or(InterfaceNameError)?;
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if (1..=12).contains(&id.len()) && id.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InterfaceNameError)
        }
    }
}

impl TryFrom<String> for InterfaceName {
    type Error = InterfaceNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<InterfaceName> for String {
    fn from(name: InterfaceName) -> Self {
        name.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One interface as it shall be on its host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DesiredInterface {
    /// See [`VERSION`].
    pub version: u32,
    /// The interface.
    pub interface: InterfaceName,
    /// The pool's generation; a host never goes back to an older one.
    pub generation: i64,
    /// What it shall look like.
    pub state: InterfaceState,
}

/// Whether an interface shall exist, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceState {
    /// The pool was deleted: no interface, no routes.
    Absent,
    /// The whole configuration.
    Present(InterfaceConfig),
}

/// A WireGuard server's interface with all of its peers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InterfaceConfig {
    /// UDP port.
    pub listen_port: u16,
    /// Bytes; see [`MTU`].
    pub mtu: u16,
    /// The server's own addresses, with the length of its sub-prefix.
    pub addresses: Vec<IpNet>,
    /// The pool's prefixes: routed to the interface, unreachable when it is down.
    pub routes: Vec<IpNet>,
    /// The customers.
    pub peers: Vec<Peer>,
    /// Last in the payload.
    pub private_key: PrivateKey,
}

/// One customer's end of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Names the peer.
    pub public_key: PublicKey,
    /// Prefixes it may use, canonical.
    pub allowed_ips: Vec<IpNet>,
}

/// What a host did with a [`DesiredInterface`]; the result of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyReport {
    /// The generation that the host has now; newer than the job's when the job was stale.
    pub applied_generation: i64,
    /// True when the host already had a newer generation and changed nothing.
    #[serde(default)]
    pub superseded: bool,
    /// The interface's public key, as `wg show` reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<PublicKey>,
    /// Peers that `wg show` reports.
    #[serde(default)]
    pub peers: usize,
    /// SHA-256 (hex) over a line for each peer that `wg show` reports, sorted by key: public key, tab, allowed IPs
    /// (sorted by address, IPv4 first, one space between them, `(none)` for none), newline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers_sha256: Option<String>,
    /// What the host had that neither the previous generation nor this one asked for.
    #[serde(default)]
    pub drift: Vec<String>,
    /// Set when nothing was configured because the machine lacks a capability: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<String>,
}

/// Asks a host for an interface's handshakes and traffic.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusRequest {
    /// See [`VERSION`].
    pub version: u32,
    /// The interface.
    pub interface: InterfaceName,
}

/// The answer to a [`StatusRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Each peer that the interface has.
    pub peers: Vec<PeerStatus>,
}

/// One peer as `wg show` counts it, since its interface came up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Names the peer.
    pub public_key: PublicKey,
    /// None when there was no handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handshake_at: Option<DateTime<Utc>>,
    /// Bytes from the peer.
    pub received_bytes: u64,
    /// Bytes to the peer.
    pub sent_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_are_what_the_host_may_touch() {
        assert_eq!(InterfaceName::for_pool(42).as_str().parse(), Ok(InterfaceName("wg-42".into())));
        for wrong in ["", "wg-", "eth0", "wg-1234567890123", "wg-a/b", "wg-A", "wg-1\n", "wg-../x"] {
            assert_eq!(wrong.parse::<InterfaceName>(), Err(InterfaceNameError), "{wrong:?}");
        }
    }
}
