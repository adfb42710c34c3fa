//! The names of VPN hosts.

use std::{fmt, str::FromStr};

use uncloud_wire::QueueName;

/// The FQDN of a VPN host: its worker's queue, and the endpoint in customers' configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hostname(QueueName);

/// The error for a text that is not a valid host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be the host's full name with at least one dot, as in vpn-1.example.ch (RFC 1123); names without a dot are the provider's own queues"
)]
pub struct HostnameError;

impl Hostname {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the queue of the host's worker.
    pub const fn queue(&self) -> &QueueName {
        &self.0
    }
}

impl FromStr for Hostname {
    type Err = HostnameError;

    fn from_str(text: &str) -> Result<Self, HostnameError> {
        let name: QueueName = text.parse().map_err(|_| HostnameError)?;
        let last_is_number =
            name.as_str().rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
        if name.as_str().contains('.') && !last_is_number { Ok(Self(name)) } else { Err(HostnameError) }
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_hostname_without_dot_is_refused() {
        assert_eq!("VPN-1.Example.CH".parse::<Hostname>().map(|name| name.to_string()), Ok("vpn-1.example.ch".into()));
        for wrong in ["billing", "", "vpn_1.example.ch", "vpn.example.ch.", "-a.ch", "a b.ch", "a.ch\nb", "192.0.2.1"] {
            assert_eq!(wrong.parse::<Hostname>(), Err(HostnameError), "{wrong:?}");
        }
    }
}
