//! A host after something happened to it: work by hand, a taken port, a reboot, a deleted or renumbered pool.

use std::{fs, time::Duration};

use nix::sys::signal::{Signal, kill};
use uncloud_jobs::host::{Host, HostError, Implementation};
use uncloud_testkit::{
    wait::wait_until,
    world::{self, client},
};
use uncloud_wire::desired::{DesiredInterface, InterfaceState};

use crate::{
    site::{PORT, SERVER, Site, UNREACHABLE, desired},
    tunnel::Tunnel,
};

#[test]
fn apply_after_manual_changes_repairs_and_reports_them() {
    world::run(0, |world| {
        let site = Site::new(world);
        let (one, stranger) = (Tunnel::new(1), Tunnel::new(2));
        let (kept, added) = (one.public_key(), stranger.public_key());
        site.apply(site.desired(1, &[&one]));
        let before = site.snapshot();
        let cases: &[(&str, &[&str])] = &[
            ("ip link del wg-1", &["interface is missing"]),
            (
                &format!("wg set wg-1 peer {added} allowed-ips 2a0a:e5c1:202::/48"),
                &[&format!("peer {added} is unexpected")],
            ),
            (&format!("wg set wg-1 peer {kept} remove"), &[&format!("peer {kept} is missing")]),
            (
                &format!("wg set wg-1 peer {kept} allowed-ips 2a0a:e5c1:203::/48"),
                &[&format!("peer {kept} has allowed IPs 2a0a:e5c1:203::/48 instead of 2a0a:e5c1:201::/48")],
            ),
            ("wg set wg-1 listen-port 51999", &["listen port is 51999 instead of 51820"]),
            (
                "wg set wg-1 private-key /dev/null",
                &[&format!("public key is (none) instead of {}", site.key.public_key())],
            ),
            ("ip addr del 2a0a:e5c1:200::1/48 dev wg-1", &["address 2a0a:e5c1:200::1/48 is missing"]),
            (
                "ip addr del 2a0a:e5c1:200::1/48 dev wg-1; ip addr add 2a0a:e5c1:200::1/64 dev wg-1 nodad",
                &["address 2a0a:e5c1:200::1/64 is unexpected", "address 2a0a:e5c1:200::1/48 is missing"],
            ),
            ("ip addr add 10.1.2.3/24 dev wg-1", &["address 10.1.2.3/24 is unexpected"]),
            (
                "ip addr add 10.1.2.3/24 dev wg-1; ip addr add 10.1.2.4/24 dev wg-1; ip route add 192.0.2.1 dev wg-1",
                &[
                    "address 10.1.2.3/24 is unexpected",
                    "address 10.1.2.4/24 is unexpected",
                    "route 192.0.2.1/32 is unexpected",
                ],
            ),
            ("ip route del 2a0a:e5c1:200::/40 dev wg-1", &["route 2a0a:e5c1:200::/40 is missing"]),
            ("ip route add 2001:db8:77::/48 dev wg-1", &["route 2001:db8:77::/48 is unexpected"]),
            ("ip route add 192.0.2.1 dev wg-1", &["route 192.0.2.1/32 is unexpected"]),
            (
                "ip route del unreachable 2a0a:e5c1:200::/40 metric 4278198272",
                &["unreachable route 2a0a:e5c1:200::/40 is missing"],
            ),
            ("ip link set wg-1 mtu 1300", &["MTU is 1300 instead of 1420"]),
            (
                "ip link set wg-1 down",
                &["interface is down", "address 2a0a:e5c1:200::1/48 is missing", "route 2a0a:e5c1:200::/40 is missing"],
            ),
        ];
        for (script, drift) in cases {
            site.sh(script);
            assert_eq!(site.apply(site.desired(1, &[&one])).drift, *drift, "{script}");
            assert_eq!(settled(&site.snapshot()), settled(&before), "{script}");
            assert_eq!(site.apply(site.desired(1, &[&one])).drift, Vec::<String>::new(), "{script}");
        }
    });
}

#[test]
fn apply_of_next_change_resets_manual_preshared_key_and_keepalive() {
    world::run(0, |world| {
        let site = Site::new(world);
        let (one, two) = (Tunnel::new(1), Tunnel::new(2));
        site.apply(site.desired(1, &[&one]));
        let key = one.public_key();
        site.sh(&format!("wg genpsk | wg set wg-1 peer {key} preshared-key /dev/stdin persistent-keepalive 25"));
        site.apply(site.desired(2, &[&one, &two]));
        assert!(site.sh("wg show wg-1 preshared-keys").lines().all(|line| line.ends_with("(none)")));
        assert!(site.sh("wg show wg-1 persistent-keepalive").lines().all(|line| line.ends_with("off")));
    });
}

/// Leaves out what a new interface has anew: its index and its link-local address.
fn settled(snapshot: &str) -> Vec<&str> {
    let lasting = snapshot.lines().filter(|line| !line.contains("fe80::"));
    let mut lines: Vec<&str> = lasting.map(|line| line.split_once(": wg-1:").map_or(line, |(_, rest)| rest)).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn apply_with_taken_port_fails_with_clear_error_until_port_is_free() {
    world::run(0, |world| {
        let site = Site::new(world);
        let tunnel = Tunnel::new(1);
        let socket = std::net::UdpSocket::bind(("::", PORT)).expect("free");
        let error = site.try_apply(site.desired(2, &[&tunnel])).expect_err("the port is taken");
        assert!(matches!(error, HostError::PortTaken { port: PORT, .. }), "{error}");
        assert!(!error.is_final());
        assert!(error.to_string().contains("UDP port 51820 is already in use on this host"), "{error}");
        drop(socket);
        // A late, older job must not confirm what is saved but was never in effect.
        let report = site.apply(site.desired(1, &[]));
        assert_eq!((report.applied_generation, report.superseded, report.peers), (2, true, 1));
        assert_eq!(report.drift, Vec::<String>::new(), "our own incomplete work is not drift");

        let socket = std::net::UdpSocket::bind(("::", PORT + 1)).expect("free");
        let mut moved = site.config(&[&tunnel]);
        moved.listen_port = PORT + 1;
        let moved = desired(3, InterfaceState::Present(moved));
        let error = site.try_apply(moved.clone()).expect_err("the new port is taken");
        assert!(matches!(error, HostError::PortTaken { .. }), "{error}");
        drop(socket);
        assert_eq!(site.apply(moved).applied_generation, 3);
        assert_eq!(site.sh("wg show wg-1 listen-port").trim(), "51821");
    });
}

#[test]
fn apply_with_hanging_wireguard_times_out_and_succeeds_on_retry() {
    world::run(0, |world| {
        let site = Site::new(world);
        let (one, two) = (Tunnel::new(1), Tunnel::new(2));
        site.apply(site.desired(1, &[&one]));
        let implementations = world.userspace_tunnels();
        let [implementation] = implementations[..] else { panic!("{implementations:?}") };
        kill(implementation, Signal::SIGSTOP).expect("it runs");
        let host = Host::new(site.dir.path(), Implementation::WireguardGo).expect("programs are installed");
        let impatient = host.with_command_timeout(Duration::from_millis(500));
        let error = site.runtime.block_on(impatient.apply(site.desired(2, &[&one, &two]))).expect_err("it hangs");
        assert!(matches!(error, HostError::TimedOut { .. }) && !error.is_final(), "{error}");
        assert!(error.to_string().contains("wg show wg-1"), "{error}");
        kill(implementation, Signal::SIGCONT).expect("it runs");
        assert_eq!(site.apply(site.desired(2, &[&one, &two])).peers, 2);
    });
}

#[test]
fn restore_after_reboot_with_broken_state_files_recovers_the_others() {
    world::run(1, |world| {
        let site = Site::new(world);
        let tunnel = Tunnel::new(1);
        site.apply(site.desired(3, &[&tunnel]));
        tunnel.start(world, site.key.public_key(), PORT);
        tunnel.wait_for_answer(world, SERVER);
        for (name, text) in
            [("wg-0.json", "half a fi"), ("wg-2.json", r#"{"desired":{"version":9,"interface":"wg-2"}}"#)]
        {
            fs::write(site.dir.path().join(name), text).expect("written");
        }
        site.sh("ip link del wg-1; ip route del unreachable 2a0a:e5c1:200::/40 metric 4278198272");
        assert_eq!(world.ping(&client(1), SERVER, 3), 0, "gone");

        let host = Host::new(site.dir.path(), Implementation::WireguardGo).expect("programs are installed");
        let restored = site.runtime.block_on(host.restore()).expect("the folder can be listed");
        let [broken, good, newer] = restored.as_slice() else { panic!("{restored:?}") };
        assert!(matches!(broken.outcome, Err(HostError::BrokenState { .. })), "{broken:?}");
        assert!(matches!(newer.outcome, Err(HostError::NewerVersion { version: 9, .. })), "{newer:?}");
        let report = good.outcome.as_ref().expect("restored");
        assert_eq!((report.applied_generation, report.superseded, report.peers), (3, false, 1));
        assert!(site.sh("ip -6 route").contains(UNREACHABLE));
        tunnel.connect(world, site.key.public_key(), PORT);
        tunnel.wait_for_answer(world, SERVER);

        // A job for the broken file's interface replaces it.
        let mut other = site.config(&[]);
        (other.listen_port, other.addresses, other.routes) = (PORT + 1, Vec::new(), Vec::new());
        let other =
            DesiredInterface { interface: "wg-0".parse().expect("name"), ..desired(1, InterfaceState::Present(other)) };
        let report = site.apply(other);
        assert!(report.drift[0].starts_with("saved state was unreadable"), "{:?}", report.drift);
    });
}

#[test]
fn deleted_pool_after_older_job_or_restore_stays_deleted() {
    world::run(0, |world| {
        let site = Site::new(world);
        let tunnel = Tunnel::new(1);
        let untouched = site.sh("ip -br addr; ip -6 route");
        site.apply(site.desired(1, &[&tunnel]));
        let report = site.apply(desired(3, InterfaceState::Absent));
        assert_eq!((report.applied_generation, report.peers, report.public_key), (3, 0, None));
        assert_eq!(site.sh("ip -br addr; ip -6 route"), untouched, "neither interface nor route is left");
        wait_until("wireguard-go ends", || world.userspace_tunnels().is_empty());
        let tombstone = fs::read_to_string(site.state_file()).expect("kept");
        assert!(!tombstone.contains(&site.key.expose_base64()), "{tombstone}");

        assert!(site.apply(site.desired(2, &[&tunnel])).superseded);
        assert!(!site.has_interface());
        assert_eq!(site.apply(desired(3, InterfaceState::Absent)).drift, Vec::<String>::new(), "twice is fine");
        let restored = site.runtime.block_on(site.host.restore()).expect("listed");
        assert_eq!(restored[0].outcome.as_ref().expect("fine").applied_generation, 3);
        assert!(!site.has_interface(), "nor does a reboot bring it back");
        site.apply(site.desired(4, &[&tunnel]));
        assert!(site.has_interface(), "a newer generation does");
    });
}

#[test]
fn apply_of_renumbered_pool_leaves_no_old_route() {
    world::run(0, |world| {
        let site = Site::new(world);
        site.apply(site.desired(1, &[]));
        let mut config = site.config(&[]);
        config.addresses = vec!["2001:db8:aa::1/48".parse().expect("net"), "10.1.0.1/24".parse().expect("net")];
        config.routes = vec!["2001:db8:aa::/40".parse::<ipnet::IpNet>().expect("net").trunc()];
        config.routes.push("10.0.0.0/8".parse().expect("net"));
        let report = site.apply(desired(2, InterfaceState::Present(config)));
        assert_eq!(report.drift, Vec::<String>::new());
        let routes = site.sh("ip -6 route; ip -4 route; ip -br addr");
        assert!(!routes.contains("2a0a:e5c1"), "{routes}");
        assert!(routes.contains("unreachable 10.0.0.0/8 metric 4278198272"), "{routes}");
        assert!(site.sh("ip route get 10.200.0.1").contains("dev wg-1"), "the interface's route wins for IPv4 too");
    });
}

#[test]
fn apply_in_dry_run_saves_generation_and_configures_nothing() {
    world::run(0, |world| {
        let site = Site::new(world);
        let before = site.sh("ip addr; ip -6 route");
        let missing = "/dev/net/tun".to_owned();
        let host = Host::new(site.dir.path(), Implementation::DryRun(missing.clone())).expect("needs no program");
        let apply = |desired| site.runtime.block_on(host.apply(desired)).expect("saved");
        let report = apply(site.desired(2, &[]));
        assert_eq!((report.applied_generation, report.dry_run, report.peers), (2, Some(missing), 0));
        assert_eq!(report.public_key, None);
        assert!(apply(site.desired(1, &[])).superseded);
        assert_eq!(site.sh("ip addr; ip -6 route"), before);
        // Once the capability is there, what was saved takes effect, and nothing about it is drift.
        let restored = site.runtime.block_on(site.host.restore()).expect("listed");
        let report = restored[0].outcome.as_ref().expect("applied");
        assert_eq!((report.applied_generation, report.drift.as_slice()), (2, &[] as &[String]));
        assert!(site.has_interface());
    });
}
