//! The steps from the machine's state to the desired state. Pure, so that every case can be tested.

use std::collections::BTreeSet;

use ipnet::IpNet;
use uncloud_wire::desired::InterfaceConfig;

use super::{
    observe::{Link, Observed},
    peers,
};

/// One call of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Create the interface.
    CreateLink,
    /// Remove the interface with its addresses and routes.
    DeleteLink,
    /// Set key, port and peers.
    SyncWireGuard,
    /// Set the MTU, and bring the interface up.
    RaiseLink {
        mtu: u16,
    },
    DeleteAddress(IpNet),
    DeleteRoute(IpNet),
    ReplaceAddress(IpNet),
    ReplaceRoute(IpNet),
    ReplaceUnreachable(IpNet),
    DeleteUnreachable(IpNet),
}

/// Returns the steps to a configuration; none if the machine is in the desired state.
///
/// `retired` are prefixes of earlier configurations, whose unreachable routes may remain.
pub(super) fn to_present(seen: &Observed, config: &InterfaceConfig, retired: &[IpNet]) -> Vec<Step> {
    let mut steps = match &seen.link {
        None => from_nothing(config),
        Some(link) => from_link(link, config),
    };
    let missing = config.routes.iter().filter(|route| !seen.unreachable.contains(route));
    steps.extend(missing.copied().map(Step::ReplaceUnreachable));
    let retired = retired.iter().filter(|route| !config.routes.contains(route));
    steps.extend(delete_unreachable(seen, retired));
    steps
}

/// Returns the steps that remove the interface.
pub(super) fn to_absent(seen: &Observed, retired: &[IpNet]) -> Vec<Step> {
    let link = seen.link.iter().map(|_| Step::DeleteLink);
    link.chain(delete_unreachable(seen, retired.iter())).collect()
}

fn delete_unreachable<'a>(seen: &Observed, retired: impl Iterator<Item = &'a IpNet>) -> Vec<Step> {
    let there: BTreeSet<IpNet> = retired.copied().filter(|route| seen.unreachable.contains(route)).collect();
    there.into_iter().map(Step::DeleteUnreachable).collect()
}

fn from_nothing(config: &InterfaceConfig) -> Vec<Step> {
    let mut steps = vec![Step::CreateLink, Step::SyncWireGuard, Step::RaiseLink { mtu: config.mtu }];
    steps.extend(config.addresses.iter().copied().map(Step::ReplaceAddress));
    steps.extend(config.routes.iter().copied().map(Step::ReplaceRoute));
    steps
}

/// Returns the steps for an existing interface. Peers come first: a removed customer loses access even if a later step
/// fails. The interface goes up before addresses and routes, which the kernel refuses or drops on an interface that is
/// down.
fn from_link(link: &Link, config: &InterfaceConfig) -> Vec<Step> {
    let mut steps = Vec::new();
    if link.listen_port != config.listen_port
        || link.public_key != config.private_key.public_key().to_string()
        || link.peers != peers::desired(config)
    {
        steps.push(Step::SyncWireGuard);
    }
    if !link.up || link.mtu != u32::from(config.mtu) {
        steps.push(Step::RaiseLink { mtu: config.mtu });
    }
    // Delete before adding: `ip addr replace` does not change the prefix length of an IPv6 address.
    let surplus_addresses = link.addresses.iter().filter(|address| !config.addresses.contains(address));
    let deletions: Vec<Step> = surplus_addresses
        .copied()
        .map(Step::DeleteAddress)
        .chain(link.routes.iter().filter(|route| !config.routes.contains(route)).copied().map(Step::DeleteRoute))
        .collect();
    // The kernel deletes more than requested: with an IPv4 address those of the same subnet, with any address its
    // routes. Restoring everything is idempotent, and surplus is rare.
    let all = !deletions.is_empty();
    steps.extend(deletions);
    let addresses = config.addresses.iter().filter(|address| all || !link.addresses.contains(address));
    steps.extend(addresses.copied().map(Step::ReplaceAddress));
    let routes = config.routes.iter().filter(|route| all || !link.routes.contains(route));
    steps.extend(routes.copied().map(Step::ReplaceRoute));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{check::tests::config, compare::tests::as_desired};

    fn net(text: &str) -> IpNet {
        text.parse().expect("prefix")
    }

    #[test]
    fn plan_for_desired_state_is_empty() {
        let config = config();
        assert_eq!(to_present(&as_desired(&config), &config, &[]), []);
        assert_eq!(to_absent(&Observed { link: None, unreachable: BTreeSet::new() }, &config.routes), []);
    }

    #[test]
    fn plan_from_scratch_has_this_order() {
        let config = config();
        let nothing = Observed { link: None, unreachable: BTreeSet::new() };
        let expected = [
            Step::CreateLink,
            Step::SyncWireGuard,
            Step::RaiseLink { mtu: 1420 },
            Step::ReplaceAddress(net("2a0a:e5c1:200::1/48")),
            Step::ReplaceAddress(net("10.1.0.1/24")),
            Step::ReplaceRoute(net("2a0a:e5c1:200::/40")),
            Step::ReplaceRoute(net("10.0.0.0/8")),
            Step::ReplaceUnreachable(net("2a0a:e5c1:200::/40")),
            Step::ReplaceUnreachable(net("10.0.0.0/8")),
        ];
        assert_eq!(to_present(&nothing, &config, &[]), expected);
    }

    #[test]
    fn plan_contains_only_differences() {
        let mut config = config();
        let seen = as_desired(&config);
        config.peers.pop();
        assert_eq!(to_present(&seen, &config, &[]), [Step::SyncWireGuard]);
        let mut seen = as_desired(&config);
        seen.link.as_mut().expect("there").mtu = 1300;
        assert_eq!(to_present(&seen, &config, &[]), [Step::RaiseLink { mtu: 1420 }]);
        let mut seen = as_desired(&config);
        seen.link.as_mut().expect("there").addresses.remove(&net("10.1.0.1/24"));
        assert_eq!(to_present(&seen, &config, &[]), [Step::ReplaceAddress(net("10.1.0.1/24"))]);
    }

    #[test]
    fn plan_with_surplus_deletes_then_restores_all() {
        let config = config();
        let mut seen = as_desired(&config);
        let link = seen.link.as_mut().expect("there");
        link.addresses.insert(net("10.1.0.9/24"));
        link.routes.push(net("0.0.0.0/0"));
        let expected = [
            Step::DeleteAddress(net("10.1.0.9/24")),
            Step::DeleteRoute(net("0.0.0.0/0")),
            Step::ReplaceAddress(net("2a0a:e5c1:200::1/48")),
            Step::ReplaceAddress(net("10.1.0.1/24")),
            Step::ReplaceRoute(net("2a0a:e5c1:200::/40")),
            Step::ReplaceRoute(net("10.0.0.0/8")),
        ];
        assert_eq!(to_present(&seen, &config, &[]), expected);
    }

    #[test]
    fn plan_deletes_existing_unwanted_retired_routes() {
        let config = config();
        let mut seen = as_desired(&config);
        let old = net("2001:db8:77::/48");
        let retired = [old, config.routes[0], old, net("2001:db8:78::/48")];
        seen.unreachable.insert(old);
        assert_eq!(to_present(&seen, &config, &retired), [Step::DeleteUnreachable(old)]);
        let gone = [Step::DeleteLink, Step::DeleteUnreachable(old), Step::DeleteUnreachable(config.routes[0])];
        assert_eq!(to_absent(&seen, &retired), gone);
    }
}
