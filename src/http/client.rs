//! The address of a request's client: the one that rate limits count, with the networks that count as one, and the
//! decision whether to trust a request id.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use ipnet::IpNet;
use poem::{
    Addr, Request,
    http::{HeaderMap, HeaderValue},
};

/// A proxy's address, or a network of proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxy(IpNet);

impl FromStr for Proxy {
    type Err = ipnet::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<IpAddr>().map_or_else(|_| text.parse(), |address| Ok(address.into())).map(Self)
    }
}

/// Proxies whose `X-Forwarded-For` and `X-Request-Id` are trusted. From any other client, these headers would allow a
/// new identity with each guess; behind a proxy that is not listed here all callers have the same address.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<Proxy>);

impl TrustedProxies {
    /// Creates the list from these proxies.
    pub const fn new(proxies: Vec<Proxy>) -> Self {
        Self(proxies)
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|proxy| proxy.0.contains(&address))
    }

    pub(crate) fn client_of(&self, request: &Request) -> IpAddr {
        self.client_behind(Self::peer_of(request), request.headers())
    }

    /// Returns the address of the connection's other end.
    pub(crate) fn peer_of(request: &Request) -> IpAddr {
        match &request.remote_addr().0 {
            Addr::SocketAddr(address) => address.ip().to_canonical(),
            _ => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    /// Walks the hops from the right, as long as each is a trusted proxy that reports the one before it.
    fn client_behind(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        // Bytes, not text: a stranger's invalid bytes must not make the part that a proxy has added unreadable.
        let hops = headers.get_all("x-forwarded-for").into_iter().map(HeaderValue::as_bytes);
        let hops: Vec<&[u8]> = hops.flat_map(|value| value.split(|byte| *byte == b',')).collect();
        for hop in hops.into_iter().rev() {
            if !self.trusts(client) {
                break;
            }
            let Some(address) = address_of(hop) else { break };
            client = address.to_canonical();
        }
        client
    }
}

/// Returns the network that counts as one address. A customer usually has a whole /64 in IPv6.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    of_network(address, 64)
}

/// Returns the network of an organisation: a /48 in IPv6.
pub(crate) fn site_of(address: IpAddr) -> IpAddr {
    of_network(address, 48)
}

fn of_network(address: IpAddr, length: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !(u128::MAX >> length)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// Parses an address with or without a port; with a port, an IPv6 address is in brackets.
fn address_of(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?.trim();
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    text.trim_matches(['[', ']']).parse().or_else(|_| with_port()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_of_ipv6_address_is_its_64() {
        let network = |text: &str| network_of(text.parse().expect("an address")).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn client_behind_untrusted_proxy_is_the_peer() {
        let proxies = ["10.0.0.0/8", "2001:db8::1"].map(|proxy| proxy.parse().expect("a proxy"));
        let proxies = TrustedProxies::new(proxies.to_vec());
        let client = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", HeaderValue::from_str(value).expect("a value"));
            }
            proxies.client_behind(peer.parse().expect("an address"), &headers).to_string()
        };
        assert_eq!(client("192.0.2.1", &["203.0.113.9"]), "192.0.2.1", "not a trusted proxy");
        assert_eq!(client("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 203.0.113.9", "2001:db8::1"]), "203.0.113.9", "the first is forged");
        assert_eq!(client("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["[2001:db8::2]:4711"]), "2001:db8::2");
        assert_eq!(
            client("10.0.0.1", &["\u{ff}\u{e9}, 203.0.113.9"]),
            "203.0.113.9",
            "invalid bytes from a stranger do not hide the client"
        );
    }
}
