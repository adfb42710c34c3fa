//! The desired state of one WireGuard interface, and the host's report: the contract between the provider and
//! `uncloud-worker`. Additive only; [`VERSION`] rises if an old worker could misread it.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::key::{PrivateKey, PublicKey};

/// The newest version of [`DesiredInterface`] that this program understands.
pub const VERSION: u32 = 1;

/// The bytes per packet inside the tunnel: 1500 less the largest WireGuard overhead over IPv6 (80).
pub const MTU: u16 = 1420;

/// The name of a network interface: `wg-` and the pool's id, at most 15 bytes (Linux, IFNAMSIZ).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfaceName(String);

/// The error of a text that is not the name of a managed interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an interface name must be wg- and 1 to 12 digits or lowercase letters, as in wg-42")]
pub struct InterfaceNameError;

impl InterfaceName {
    /// Returns the name of the interface that serves a pool.
    pub fn for_pool(pool_id: i64) -> Self {
        Self(format!("wg-{pool_id}"))
    }

    /// Returns the name as commands accept it.
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

/// The desired state of one interface on its host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DesiredInterface {
    /// The version of the contract; see [`VERSION`].
    pub version: u32,
    /// The name of the interface.
    pub interface: InterfaceName,
    /// The pool's generation; a host never returns to an older one.
    pub generation: i64,
    /// The desired state.
    pub state: InterfaceState,
}

/// The desired existence and configuration of an interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceState {
    /// The pool was deleted: neither interface nor routes exist.
    Absent,
    /// The interface exists, with this configuration.
    Present(InterfaceConfig),
}

/// A WireGuard server's interface with all of its peers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InterfaceConfig {
    /// The UDP port.
    pub listen_port: u16,
    /// The bytes per packet; see [`MTU`].
    pub mtu: u16,
    /// The server's own addresses, with the length of its sub-prefix.
    pub addresses: Vec<IpNet>,
    /// The pool's prefixes: routed to the interface, unreachable when it is down.
    pub routes: Vec<IpNet>,
    /// The customers' peers.
    pub peers: Vec<Peer>,
    /// The server's private key; the last field in the payload.
    pub private_key: PrivateKey,
}

/// One customer's end of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The key that identifies the peer.
    pub public_key: PublicKey,
    /// The prefixes that the peer may use, canonical.
    pub allowed_ips: Vec<IpNet>,
}

/// The host's report on a [`DesiredInterface`]; the result of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyReport {
    /// The generation that the host has now; newer than the job's if the job was stale.
    pub applied_generation: i64,
    /// True if the host already had a newer generation and changed nothing.
    #[serde(default)]
    pub superseded: bool,
    /// The interface's public key, as `wg show` reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<PublicKey>,
    /// The number of peers that `wg show` reports.
    #[serde(default)]
    pub peers: usize,
    /// The SHA-256 (hex) over a line for each peer that `wg show` reports, sorted by key: public key, tab, allowed IPs
    /// (sorted by address, IPv4 first, one space between them, `(none)` for none), newline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers_sha256: Option<String>,
    /// The settings of the host that neither the previous generation nor this one contained.
    #[serde(default)]
    pub drift: Vec<String>,
    /// The capability that the machine lacks; set if nothing was configured for that reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<String>,
}

/// A request for an interface's handshakes and traffic.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusRequest {
    /// The version of the contract; see [`VERSION`].
    pub version: u32,
    /// The name of the interface.
    pub interface: InterfaceName,
}

/// The response to a [`StatusRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// The peers of the interface.
    pub peers: Vec<PeerStatus>,
}

/// The counters of one peer in `wg show`, since its interface came up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The key that identifies the peer.
    pub public_key: PublicKey,
    /// The time of the latest handshake; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handshake_at: Option<DateTime<Utc>>,
    /// The bytes received from the peer.
    pub received_bytes: u64,
    /// The bytes sent to the peer.
    pub sent_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_name_of_an_unmanaged_interface_is_refused() {
        assert_eq!(InterfaceName::for_pool(42).as_str().parse(), Ok(InterfaceName("wg-42".into())));
        for wrong in ["", "wg-", "eth0", "wg-1234567890123", "wg-a/b", "wg-A", "wg-1\n", "wg-../x"] {
            assert_eq!(wrong.parse::<InterfaceName>(), Err(InterfaceNameError), "{wrong:?}");
        }
    }
}
