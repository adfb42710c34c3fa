//! Arithmetic on prefixes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Returns the sub-prefix of length `size` with this index in a pool; index 0 is the server's own.
///
/// Returns none if the index does not fit or `size` is not longer than the pool's length.
pub fn subnetwork(pool: IpNet, size: u8, index: u32) -> Option<IpNet> {
    let bits = size.checked_sub(pool.prefix_len())?;
    if bits < 32 && u64::from(index) >= 1 << bits {
        return None;
    }
    match pool {
        IpNet::V4(pool) => {
            let offset = index.checked_shl(u32::from(32_u8.checked_sub(size)?)).unwrap_or(0);
            Ipv4Net::new(Ipv4Addr::from_bits(pool.network().to_bits() | offset), size).ok().map(IpNet::V4)
        }
        IpNet::V6(pool) => {
            let offset = u128::from(index).checked_shl(u32::from(128_u8.checked_sub(size)?)).unwrap_or(0);
            Ipv6Net::new(Ipv6Addr::from_bits(pool.network().to_bits() | offset), size).ok().map(IpNet::V6)
        }
    }
}

/// Returns the index of a sub-prefix in a pool, the inverse of [`subnetwork`].
pub fn index_of(pool: IpNet, network: IpNet) -> Option<u32> {
    if !pool.contains(&network) {
        return None;
    }
    let index = match (pool, network) {
        (IpNet::V4(pool), IpNet::V4(network)) => u128::from(
            (network.network().to_bits() ^ pool.network().to_bits())
                .checked_shr(u32::from(32 - network.prefix_len()))
                .unwrap_or(0),
        ),
        (IpNet::V6(pool), IpNet::V6(network)) => (network.network().to_bits() ^ pool.network().to_bits())
            .checked_shr(u32::from(128 - network.prefix_len()))
            .unwrap_or(0),
        _ => return None,
    };
    index.try_into().ok()
}

/// Returns the first address that a host may use, with the prefix's length: `::1` or `.1` of the prefix, since `::` is
/// the routers' anycast address (RFC 4291, section 2.6.1) and `.0` the network address. Prefixes of one or two
/// addresses use the first.
pub fn first_address(prefix: IpNet) -> IpNet {
    let offset = u8::from(prefix.max_prefix_len() - prefix.prefix_len() > 1);
    let address: IpAddr = match prefix.network() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() | u32::from(offset)).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() | u128::from(offset)).into(),
    };
    IpNet::new_assert(address, prefix.prefix_len())
}

/// Returns false for prefixes that the internet protocol reserves, which customers can't have.
pub fn is_assignable(prefix: IpNet) -> bool {
    let reserved = ["::/8", "fe80::/10", "ff00::/8", "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"];
    let overlaps = |other: IpNet| other.contains(&prefix) || prefix.contains(&other);
    !reserved.iter().filter_map(|text| text.parse().ok()).any(overlaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    #[test]
    fn subnetwork_outside_pool_is_none() {
        let pool = net("2a0a:e5c1:200::/40");
        assert_eq!(subnetwork(pool, 48, 0), Some(net("2a0a:e5c1:200::/48")));
        assert_eq!(subnetwork(pool, 48, 1), Some(net("2a0a:e5c1:201::/48")));
        assert_eq!(subnetwork(pool, 48, 255), Some(net("2a0a:e5c1:2ff::/48")));
        assert_eq!(subnetwork(pool, 48, 256), None);
        assert_eq!(subnetwork(pool, 39, 0), None);
        assert_eq!(subnetwork(net("10.0.0.0/8"), 32, 257), Some(net("10.0.1.1/32")));
        assert_eq!(subnetwork(net("2001:db8::/100"), 128, 5), Some(net("2001:db8::5/128")));
    }

    #[test]
    fn index_of_subnetwork_returns_its_index() {
        for (pool, size) in
            [("2a0a:e5c1:200::/40", 48), ("10.0.0.0/8", 32), ("2001:db8::/100", 128), ("10.0.0.0/24", 25)]
        {
            for index in [0, 1] {
                let network = subnetwork(net(pool), size, index).expect("fits");
                assert_eq!(index_of(net(pool), network), Some(index), "{pool} {size}");
            }
        }
        assert_eq!(index_of(net("10.0.0.0/24"), net("10.0.1.0/28")), None);
        assert_eq!(index_of(net("10.0.0.0/24"), net("2001:db8::/64")), None);
    }

    #[test]
    fn first_address_is_usable_by_host() {
        assert_eq!(first_address(net("2a0a:e5c1:201::/48")).to_string(), "2a0a:e5c1:201::1/48");
        assert_eq!(first_address(net("10.0.0.64/26")).to_string(), "10.0.0.65/26");
        assert_eq!(first_address(net("10.0.0.64/32")).to_string(), "10.0.0.64/32");
        assert_eq!(first_address(net("2001:db8::4/127")).to_string(), "2001:db8::4/127");
    }

    #[test]
    fn is_assignable_reserved_prefix_is_false() {
        for wrong in ["::/0", "fe80::/64", "ff02::/16", "0.0.0.0/0", "127.0.0.0/24", "224.0.0.0/4", "::1/128"] {
            assert!(!is_assignable(net(wrong)), "{wrong}");
        }
        for right in ["2a0a:e5c1:200::/40", "2001:db8::/32", "fd00::/48", "10.0.0.0/8", "203.0.113.0/24"] {
            assert!(is_assignable(net(right)), "{right}");
        }
    }
}
