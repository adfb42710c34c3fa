//! The refusal of states that no host could apply, before any change.
//!
//! The types already exclude invalid names, keys and prefixes. The checks here are for combinations that `wg` and `ip`
//! would accept partially or silently misread.

use std::collections::BTreeSet;

use ipnet::IpNet;
use uncloud_wire::desired::{self, DesiredInterface, InterfaceConfig, InterfaceState};

use super::HostError;

/// The smallest MTU for which the kernel keeps IPv6 on an interface.
const MIN_MTU: u16 = 1280;

/// Accepts a state that can be applied.
pub(super) fn check(desired: &DesiredInterface) -> Result<(), HostError> {
    let interface = || desired.interface.clone();
    if desired.version > desired::VERSION {
        return Err(HostError::NewerVersion { interface: interface(), version: desired.version });
    }
    let result = match &desired.state {
        _ if desired.version == 0 => Err("version 0 is not a valid version".to_owned()),
        InterfaceState::Absent => Ok(()),
        InterfaceState::Present(config) => check_config(config),
    };
    result.map_err(|reason| HostError::InvalidState { interface: interface(), reason })
}

fn check_config(config: &InterfaceConfig) -> Result<(), String> {
    if config.listen_port == 0 {
        return Err("listen port 0; must be from 1 to 65535".to_owned());
    }
    if config.mtu < MIN_MTU {
        return Err(format!("MTU {}; must be at least {MIN_MTU} for IPv6", config.mtu));
    }
    for route in &config.routes {
        canonical("route", route)?;
        if route.prefix_len() == 0 {
            return Err(format!("route {route} would capture all of the host's traffic"));
        }
    }
    check_peers(config)
}

fn check_peers(config: &InterfaceConfig) -> Result<(), String> {
    let own_key = config.private_key.public_key();
    let (mut keys, mut prefixes) = (BTreeSet::new(), BTreeSet::new());
    for peer in &config.peers {
        let key = peer.public_key;
        if key == own_key {
            return Err(format!("peer {key} is the interface itself, which WireGuard would silently ignore"));
        }
        if !keys.insert(key) {
            return Err(format!("peer {key} appears twice; only the last one would count"));
        }
        for prefix in &peer.allowed_ips {
            canonical("allowed IPs", prefix)?;
            if !prefixes.insert(prefix) {
                return Err(format!("allowed IPs {prefix} appears twice; only the last peer would get it"));
            }
        }
    }
    Ok(())
}

fn canonical(what: &str, prefix: &IpNet) -> Result<(), String> {
    if *prefix == prefix.trunc() {
        Ok(())
    } else {
        Err(format!("{what} {prefix} has host bits; must be {}", prefix.trunc()))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use uncloud_wire::desired::Peer;

    use super::*;

    /// Returns a small interface for the tests of this folder.
    pub(crate) fn config() -> InterfaceConfig {
        let net = |text: &str| text.parse::<IpNet>().expect("prefix");
        let peer = |key: &str, allowed: &[&str]| Peer {
            public_key: key.parse().expect("key"),
            allowed_ips: allowed.iter().map(|text| net(text)).collect(),
        };
        InterfaceConfig {
            listen_port: 51820,
            mtu: desired::MTU,
            addresses: vec![net("2a0a:e5c1:200::1/48"), net("10.1.0.1/24")],
            routes: vec![net("2a0a:e5c1:200::/40"), net("10.0.0.0/8")],
            peers: vec![
                peer("6xCGAILBdjOcwVFKvN6eb1Q6OjRc+O5e5r7yNH0fNSY=", &["2a0a:e5c1:201::/48", "10.1.0.0/24"]),
                peer("3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=", &[]),
            ],
            private_key: "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=".parse().expect("key"),
        }
    }

    fn desired(version: u32, config: InterfaceConfig) -> DesiredInterface {
        let interface = "wg-1".parse().expect("name");
        DesiredInterface { version, interface, generation: 1, state: InterfaceState::Present(config) }
    }

    #[test]
    fn check_newer_version_is_final_with_fix() {
        let error = check(&desired(desired::VERSION + 1, config())).expect_err("newer");
        assert!(error.is_final());
        assert_eq!(error.to_string(), "wg-1: the state has version 2, this worker supports up to 1; update the worker");
    }

    #[test]
    fn check_invalid_state_is_final_with_reason() {
        type Change = fn(&mut InterfaceConfig);
        let cases: [(&str, Change); 9] = [
            ("listen port 0", |c| c.listen_port = 0),
            ("MTU 1279", |c| c.mtu = 1279),
            ("route 2a0a:e5c1:200::1/40 has host bits", |c| c.routes[0] = "2a0a:e5c1:200::1/40".parse().expect("net")),
            ("route ::/0 would capture", |c| c.routes[0] = "::/0".parse().expect("net")),
            ("the interface itself", |c| c.peers[1].public_key = c.private_key.public_key()),
            ("appears twice", |c| c.peers[1].public_key = c.peers[0].public_key),
            ("10.1.0.0/24 appears twice", |c| c.peers[1].allowed_ips = vec![c.peers[0].allowed_ips[1]]),
            ("10.1.0.0/24 appears twice", |c| {
                let again = c.peers[0].allowed_ips[1];
                c.peers[0].allowed_ips.push(again);
            }),
            ("allowed IPs 10.2.0.1/24 has host bits; must be 10.2.0.0/24", |c| {
                c.peers[1].allowed_ips = vec!["10.2.0.1/24".parse().expect("net")];
            }),
        ];
        check(&desired(1, config())).expect("the unchanged state is valid");
        for (reason, change) in cases {
            let mut changed = config();
            change(&mut changed);
            let error = check(&desired(1, changed)).expect_err(reason);
            assert!(error.is_final() && error.to_string().contains(reason), "{error} (expected: {reason})");
        }
        assert!(check(&desired(0, config())).expect_err("version 0").is_final());
    }
}
