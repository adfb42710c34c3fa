//! The differences between the machine and the desired state, in words.

use std::{collections::BTreeSet, fmt::Display};

use ipnet::IpNet;
use uncloud_wire::desired::InterfaceConfig;

use super::{
    observe::{Link, Observed},
    peers::{self, PeerTable},
};

/// The number of differences in a report: more add no information and make the report unreadable.
const MAX_DIFFERENCES: usize = 50;

/// Returns the objects on the machine that neither `before` nor `after` contains, and the missing objects that both
/// contain.
///
/// With the saved and the new configuration this is drift; with the same configuration twice it is every difference. A
/// missing interface is one difference: everything on it was removed with it.
pub(super) fn differences(seen: &Observed, before: &InterfaceConfig, after: &InterfaceConfig) -> Vec<String> {
    let Some(link) = &seen.link else {
        return vec!["interface is missing".to_owned()];
    };
    let mut found = settings(link, before, after);
    let set = |list: &[IpNet]| list.iter().copied().collect::<BTreeSet<_>>();
    compare_sets("address", &link.addresses, &set(&before.addresses), &set(&after.addresses), &mut found);
    let (routes_before, routes_after) = (set(&before.routes), set(&after.routes));
    compare_sets("route", &set(&link.routes), &routes_before, &routes_after, &mut found);
    let missing = routes_before.intersection(&routes_after).filter(|route| !seen.unreachable.contains(route));
    found.extend(missing.map(|route| format!("unreachable route {route} is missing")));
    compare_peers(&link.peers, &peers::desired(before), &peers::desired(after), &mut found);
    shortened(found)
}

fn settings(link: &Link, before: &InterfaceConfig, after: &InterfaceConfig) -> Vec<String> {
    let mut found = Vec::new();
    if !link.up {
        found.push("interface is down".to_owned());
    }
    let mut compare = |what: &str, seen: &dyn Display, before: &dyn Display, after: &dyn Display| {
        let (seen, before, after) = (seen.to_string(), before.to_string(), after.to_string());
        if seen != before && seen != after {
            found.push(format!("{what} is {seen} instead of {before}"));
        }
    };
    compare("MTU", &link.mtu, &before.mtu, &after.mtu);
    compare("listen port", &link.listen_port, &before.listen_port, &after.listen_port);
    let public = |config: &InterfaceConfig| config.private_key.public_key();
    compare("public key", &link.public_key, &public(before), &public(after));
    found
}

fn compare_sets(
    what: &str,
    seen: &BTreeSet<IpNet>,
    before: &BTreeSet<IpNet>,
    after: &BTreeSet<IpNet>,
    found: &mut Vec<String>,
) {
    let surplus = seen.iter().filter(|item| !before.contains(item) && !after.contains(item));
    found.extend(surplus.map(|item| format!("{what} {item} is unexpected")));
    let missing = before.intersection(after).filter(|item| !seen.contains(item));
    found.extend(missing.map(|item| format!("{what} {item} is missing")));
}

fn compare_peers(seen: &PeerTable, before: &PeerTable, after: &PeerTable, found: &mut Vec<String>) {
    for (key, allowed) in seen {
        match (before.get(key), after.get(key)) {
            (None, None) => found.push(format!("peer {key} is unexpected")),
            (old, new) if old != Some(allowed) && new != Some(allowed) => {
                let expected = old.or(new).map(peers::join).unwrap_or_default();
                found.push(format!("peer {key} has allowed IPs {} instead of {expected}", peers::join(allowed)));
            }
            _ => {}
        }
    }
    let missing = before.keys().filter(|key| after.contains_key(*key) && !seen.contains_key(*key));
    found.extend(missing.map(|key| format!("peer {key} is missing")));
}

fn shortened(mut found: Vec<String>) -> Vec<String> {
    if found.len() > MAX_DIFFERENCES {
        let surplus = found.len() - MAX_DIFFERENCES;
        found.truncate(MAX_DIFFERENCES);
        found.push(format!("and {surplus} more"));
    }
    found
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::host::check::tests::config;

    /// Returns a machine in the desired state.
    pub(crate) fn as_desired(config: &InterfaceConfig) -> Observed {
        let link = Link {
            up: true,
            mtu: config.mtu.into(),
            addresses: config.addresses.iter().copied().collect(),
            routes: config.routes.clone(),
            public_key: config.private_key.public_key().to_string(),
            listen_port: config.listen_port,
            peers: peers::desired(config),
        };
        Observed { link: Some(link), unreachable: config.routes.iter().copied().collect() }
    }

    fn net(text: &str) -> IpNet {
        text.parse().expect("prefix")
    }

    #[test]
    fn differences_of_desired_state_are_empty() {
        let config = config();
        assert_eq!(differences(&as_desired(&config), &config, &config), Vec::<String>::new());
    }

    #[test]
    fn differences_after_manual_changes_lists_each() {
        let config = config();
        let mut seen = as_desired(&config);
        seen.unreachable.remove(&config.routes[0]);
        let link = seen.link.as_mut().expect("there");
        link.up = false;
        link.mtu = 1300;
        link.listen_port = 1;
        link.public_key = "(none)".into();
        link.addresses = [net("10.1.0.1/24"), net("10.9.9.9/32")].into();
        link.routes = vec![net("0.0.0.0/0"), net("2a0a:e5c1:200::/40")];
        link.peers.insert("added".into(), [net("10.7.0.0/24")].into());
        let (first, second) = (config.peers[0].public_key.to_string(), config.peers[1].public_key.to_string());
        link.peers.insert(second.clone(), [net("10.8.0.0/24")].into());
        link.peers.remove(&first);
        let expected = [
            "interface is down".to_owned(),
            "MTU is 1300 instead of 1420".to_owned(),
            "listen port is 1 instead of 51820".to_owned(),
            format!("public key is (none) instead of {}", config.private_key.public_key()),
            "address 10.9.9.9/32 is unexpected".to_owned(),
            "address 2a0a:e5c1:200::1/48 is missing".to_owned(),
            "route 0.0.0.0/0 is unexpected".to_owned(),
            "route 10.0.0.0/8 is missing".to_owned(),
            "unreachable route 2a0a:e5c1:200::/40 is missing".to_owned(),
            format!("peer {second} has allowed IPs 10.8.0.0/24 instead of (none)"),
            "peer added is unexpected".to_owned(),
            format!("peer {first} is missing"),
        ];
        assert_eq!(differences(&seen, &config, &config), expected);
        seen.link = None;
        assert_eq!(differences(&seen, &config, &config), ["interface is missing"]);
    }

    #[test]
    fn differences_after_requested_change_are_empty() {
        let (before, mut after) = (config(), config());
        after.peers.swap_remove(0);
        after.listen_port = 7;
        after.mtu = 1400;
        after.addresses.pop();
        after.routes.pop();
        after.peers[0].allowed_ips = vec![net("10.8.0.0/24")];
        assert_eq!(differences(&as_desired(&before), &before, &after), Vec::<String>::new(), "not applied yet");
        assert_eq!(differences(&as_desired(&after), &before, &after), Vec::<String>::new(), "applied already");
        let mut half = as_desired(&before);
        half.link.as_mut().expect("there").listen_port = 9;
        assert_eq!(differences(&half, &before, &after), ["listen port is 9 instead of 51820"]);
    }

    #[test]
    fn differences_beyond_limit_are_counted() {
        let mut seen = as_desired(&config());
        let link = seen.link.as_mut().expect("there");
        link.peers.extend((0..60).map(|n| (format!("manual {n:02}"), BTreeSet::new())));
        let found = differences(&seen, &config(), &config());
        assert_eq!(found.len(), 51);
        assert_eq!(found[50], "and 10 more");
    }
}
