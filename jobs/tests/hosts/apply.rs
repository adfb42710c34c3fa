//! `Host::apply` and `Host::restore` on a real VPN host with real customers.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uncloud::vpn::{
    desired::{ApplyReport, DesiredInterface, InterfaceConfig, InterfaceState, MTU, Peer, VERSION},
    key::PrivateKey,
};
use uncloud_jobs::host::{Host, HostError, Implementation};

use crate::{
    tunnel::{SteadyPing, Tunnel},
    world::{self, VPN_HOST, World, client},
};

const PORT: u16 = 51820;
const SERVER: &str = "2a0a:e5c1:200::1";
const UNREACHABLE: &str = "unreachable 2a0a:e5c1:200::/40 dev lo metric 4278198272";

/// The worker's side of a world: this thread is on the VPN host.
struct Site<'w> {
    world: &'w World,
    dir: TempDir,
    host: Host,
    runtime: Runtime,
    key: PrivateKey,
}

impl<'w> Site<'w> {
    fn new(world: &'w World) -> Self {
        world.enter(VPN_HOST);
        let dir = tempfile::tempdir().expect("state folder");
        let host = Host::new(dir.path(), Implementation::WireguardGo).expect("programs are installed");
        let runtime = Builder::new_current_thread().enable_all().build().expect("runtime");
        let key = PrivateKey::generate(&ring::rand::SystemRandom::new()).expect("random numbers");
        Self { world, dir, host, runtime, key }
    }

    fn config(&self, customers: &[&Tunnel]) -> InterfaceConfig {
        let net = |text: &str| text.parse().expect("prefix");
        let peer =
            |tunnel: &&Tunnel| Peer { public_key: tunnel.public_key(), allowed_ips: vec![net(&tunnel.prefix())] };
        InterfaceConfig {
            listen_port: PORT,
            mtu: MTU,
            addresses: vec![net("2a0a:e5c1:200::1/48")],
            routes: vec![net("2a0a:e5c1:200::/40")],
            peers: customers.iter().map(peer).collect(),
            private_key: self.key.clone(),
        }
    }

    fn desired(&self, generation: i64, customers: &[&Tunnel]) -> DesiredInterface {
        desired(generation, InterfaceState::Present(self.config(customers)))
    }

    fn try_apply(&self, desired: DesiredInterface) -> Result<ApplyReport, HostError> {
        self.runtime.block_on(self.host.apply(desired))
    }

    #[track_caller]
    fn apply(&self, desired: DesiredInterface) -> ApplyReport {
        self.try_apply(desired).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Applies two customers and waits until both have a session.
    fn with_two_customers(world: &'w World) -> (Self, Tunnel, Tunnel) {
        let site = Self::new(world);
        let (one, two) = (Tunnel::new(1), Tunnel::new(2));
        site.apply(site.desired(1, &[&one, &two]));
        for tunnel in [&one, &two] {
            tunnel.start(world, site.key.public_key(), PORT);
            tunnel.wait_for_answer(world, SERVER);
        }
        (site, one, two)
    }

    fn sh(&self, script: &str) -> String {
        self.world.sh_in(VPN_HOST, script)
    }

    fn has_interface(&self) -> bool {
        self.sh("ip -br link").contains("wg-1")
    }

    fn state_file(&self) -> PathBuf {
        self.dir.path().join("wg-1.json")
    }

    /// Everything that an apply could change, except what traffic changes.
    fn snapshot(&self) -> String {
        let machine = self.sh("ip addr; ip -6 route show table all; ip -4 route show table all; \
             if [ -e /run/wireguard/wg-1.sock ]; then wg show wg-1 allowed-ips | sort; wg show wg-1 listen-port; fi");
        machine + &fs::read_to_string(self.state_file()).unwrap_or_default()
    }
}

fn desired(generation: i64, state: InterfaceState) -> DesiredInterface {
    DesiredInterface { version: VERSION, interface: "wg-1".parse().expect("name"), generation, state }
}

#[test]
fn tunnels_carry_traffic_and_drop_what_has_a_strangers_source() {
    world::run(2, |world| {
        let (site, one, two) = Site::with_two_customers(world);
        assert_eq!(world.ping(VPN_HOST, &one.address(), 3), 3, "host to client1");
        assert_eq!(world.ping(&client(1), SERVER, 3), 3, "client1 to host");
        assert_eq!(world.ping(&client(1), &two.address(), 3), 3, "client1 to client2");
        assert_eq!(world.ping(&client(2), &one.address(), 3), 3, "client2 to client1");

        // The answer would not come back in any case, so count what arrives.
        let arrived = || {
            let counters = site.sh("cat /proc/net/snmp6");
            let echos = counters.lines().find_map(|line| line.strip_prefix("Icmp6InEchos"));
            echos.and_then(|number| number.trim().parse::<u64>().ok()).expect("counter")
        };
        let before = arrived();
        world.ping(&client(1), SERVER, 3);
        assert_eq!(arrived(), before + 3, "an honest source arrives");
        world.sh_in(&client(1), "ip addr add 2a0a:e5c1:202::66/128 dev wg-c1 nodad");
        assert_eq!(world.ping_with(&client(1), &format!("-c 3 -I 2a0a:e5c1:202::66 {SERVER}")), 0);
        assert_eq!(arrived(), before + 3, "client2's address from client1 does not");
    });
}

#[test]
fn the_report_says_what_wg_shows() {
    world::run(0, |world| {
        let site = Site::new(world);
        let tunnels = [Tunnel::new(1), Tunnel::new(2)];
        let report = site.apply(site.desired(1, &[&tunnels[0], &tunnels[1]]));
        assert_eq!(report.applied_generation, 1);
        assert_eq!(report.public_key, Some(site.key.public_key()));
        assert_eq!((report.superseded, report.peers, report.dry_run), (false, 2, None));
        assert_eq!(report.drift, Vec::<String>::new());
        let digest = site.sh("wg show wg-1 allowed-ips | LC_ALL=C sort | sha256sum | cut -d' ' -f1");
        assert_eq!(report.peers_sha256.as_deref(), Some(digest.trim()));
        assert!(site.sh("ip -6 route").contains(UNREACHABLE));
        assert!(site.sh("ip -6 route get 2a0a:e5c1:2ff::1").contains("dev wg-1"), "the interface's route wins");
        site.sh("ip link set wg-1 down");
        let answer = site.sh("ip -6 route get 2a0a:e5c1:2ff::1 2>&1 || true");
        assert!(answer.contains("No route to host"), "no leak while it is down: {answer}");
    });
}

/// Puts a recorder in front of a program; it notes arguments and environment, then becomes the program.
fn record(site: &Site<'_>, program: &str, log: &str) {
    let dir = site.dir.path().display().to_string();
    // One write per call, as calls run at the same time.
    let recorder = format!(
        "#!/bin/sh\nline=$(tr '\\0' ' ' </proc/$$/cmdline; tr '\\0' ' ' </proc/$$/environ)\n\
         printf '%s\\n' \"$line\" >>{log}\nexec {dir}/{program}.real \"$@\"\n"
    );
    let script = format!(
        "real=$(readlink -f $(command -v {program})); cp $real {dir}/{program}.real; cat >{dir}/{program}
         chmod 755 {dir}/{program}; mount --bind {dir}/{program} $real"
    );
    // Not in a namespace: `ip netns exec` has mounts of its own.
    site.world.sh_with(&script, &recorder);
}

#[test]
fn applying_again_only_reads_and_no_key_is_ever_an_argument() {
    world::run(0, |world| {
        let site = Site::new(world);
        let log = site.dir.path().join("calls");
        for program in ["ip", "wg", "wireguard-go"] {
            record(&site, program, &log.display().to_string());
        }
        let (one, two) = (Tunnel::new(1), Tunnel::new(2));
        let first = site.apply(site.desired(1, &[&one, &two]));
        let calls = fs::read_to_string(&log).expect("recorded");
        assert!(calls.contains("wg syncconf wg-1 /dev/stdin LC_ALL=C"), "the recorder works: {calls}");
        assert!(!calls.contains(&site.key.expose_base64()), "{calls}");

        fs::remove_file(&log).expect("recorded");
        let saved = || fs::metadata(site.state_file()).map(|file| (file.ino(), file.mtime_nsec())).expect("saved");
        let before = (saved(), site.snapshot());
        fs::remove_file(&log).expect("the snapshot's calls");
        assert_eq!(site.apply(site.desired(1, &[&one, &two])), first);
        let calls = fs::read_to_string(&log).expect("recorded");
        assert_eq!(calls.lines().count(), 6, "{calls}");
        let reads = |line: &str| line.contains("/ip -j ") || line.contains("/wg show wg-1 ");
        assert!(calls.lines().all(reads), "{calls}");
        assert_eq!((saved(), site.snapshot()), before);
    });
}

#[test]
fn the_state_file_is_for_the_worker_only() {
    world::run(0, |world| {
        let site = Site::new(world);
        nix::sys::stat::umask(nix::sys::stat::Mode::empty());
        site.apply(site.desired(1, &[]));
        for entry in fs::read_dir(site.dir.path()).expect("state folder") {
            let entry = entry.expect("file");
            assert_eq!(entry.metadata().expect("file").mode() & 0o7777, 0o600, "{:?}", entry.path());
        }
        let saved = fs::read_to_string(site.state_file()).expect("saved");
        assert!(saved.contains(&site.key.expose_base64()), "restore needs the key");
        assert!(!format!("{:?}", site.desired(1, &[])).contains(&site.key.expose_base64()));
    });
}

#[test]
fn removing_a_customer_does_not_touch_its_neighbour() {
    world::run(2, |world| {
        let (site, one, two) = Site::with_two_customers(world);
        let session = || {
            let key = two.public_key().to_string();
            let shown = site.sh("wg show wg-1 latest-handshakes");
            shown.lines().find(|line| line.starts_with(&key)).map(str::to_owned).expect("client2 is there")
        };
        let before = session();
        let mut ping = SteadyPing::start(world, &client(2), SERVER);
        ping.read(50);
        let report = site.apply(site.desired(2, &[&two]));
        ping.read(50);
        assert_eq!((report.applied_generation, report.peers), (2, 1));
        assert_eq!(report.drift, Vec::<String>::new(), "an asked for removal is no drift");
        assert_eq!(ping.lost(), Vec::<usize>::new());
        assert_eq!(session(), before, "no new handshake");
        assert_eq!(world.ping(&one.namespace(), SERVER, 5), 0, "client1 is out");
    });
}

#[test]
fn an_older_generation_changes_nothing() {
    world::run(0, |world| {
        let site = Site::new(world);
        let tunnel = Tunnel::new(1);
        site.apply(site.desired(5, &[&tunnel]));
        let before = site.snapshot();
        let report = site.apply(site.desired(4, &[]));
        assert_eq!((report.applied_generation, report.superseded), (5, true));
        assert_eq!(site.snapshot(), before);
        // The same generation is applied, whatever it says: a repeated job.
        assert_eq!(site.apply(site.desired(5, &[])).peers, 0);
    });
}

#[test]
fn two_jobs_at_once_end_with_the_newer_one() {
    world::run(0, |world| {
        let site = Site::new(world);
        let tunnel = Tunnel::new(1);
        let (old, new) = (site.desired(1, &[]), site.desired(2, &[&tunnel]));
        let other = Host::new(site.dir.path(), Implementation::WireguardGo).expect("programs are installed");
        let (old, new) = site.runtime.block_on(async { tokio::join!(site.host.apply(old), other.apply(new)) });
        let (old, new) = (old.expect("applied or superseded"), new.expect("applied"));
        assert_eq!((new.applied_generation, new.peers), (2, 1));
        assert!(old.applied_generation == 1 || old.superseded);
        assert_eq!(site.sh("wg show wg-1 peers").lines().count(), 1);
    });
}

#[test]
fn work_by_hand_is_mended_and_reported() {
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
                &[&format!("peer {added} is not asked for")],
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
                &["address 2a0a:e5c1:200::1/64 is not asked for", "address 2a0a:e5c1:200::1/48 is missing"],
            ),
            ("ip addr add 10.1.2.3/24 dev wg-1", &["address 10.1.2.3/24 is not asked for"]),
            ("ip route del 2a0a:e5c1:200::/40 dev wg-1", &["route 2a0a:e5c1:200::/40 is missing"]),
            ("ip route add 2001:db8:77::/48 dev wg-1", &["route 2001:db8:77::/48 is not asked for"]),
            ("ip route add 192.0.2.1 dev wg-1", &["route 192.0.2.1/32 is not asked for"]),
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

/// Leaves out what a new interface has anew: its index and its link-local address.
fn settled(snapshot: &str) -> Vec<&str> {
    let lasting = snapshot.lines().filter(|line| !line.contains("fe80::"));
    let mut lines: Vec<&str> = lasting.map(|line| line.split_once(": wg-1:").map_or(line, |(_, rest)| rest)).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_taken_port_is_a_clear_error_and_freeing_it_is_enough() {
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
        assert_eq!(report.drift, Vec::<String>::new(), "our own half-done work is no drift");

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
fn a_reboot_is_survived_without_the_control_plane() {
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
fn a_deleted_pool_stays_deleted() {
    world::run(0, |world| {
        let site = Site::new(world);
        let tunnel = Tunnel::new(1);
        let untouched = site.sh("ip -br addr; ip -6 route");
        site.apply(site.desired(1, &[&tunnel]));
        let report = site.apply(desired(3, InterfaceState::Absent));
        assert_eq!((report.applied_generation, report.peers, report.public_key), (3, 0, None));
        assert_eq!(site.sh("ip -br addr; ip -6 route"), untouched, "neither interface nor route is left");
        world::wait_until("wireguard-go ends", || world.userspace_tunnels() == 0);
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
fn a_renumbered_pool_leaves_no_route_behind() {
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
fn a_newer_version_is_refused_untouched() {
    world::run(0, |world| {
        let site = Site::new(world);
        let before = site.snapshot();
        let error = site.try_apply(DesiredInterface { version: VERSION + 1, ..site.desired(1, &[]) });
        let error = error.expect_err("not understood");
        assert!(error.is_final() && error.to_string().contains("update the worker"), "{error}");
        assert_eq!(site.snapshot(), before);
        assert_eq!(fs::read_dir(site.dir.path()).expect("folder").count(), 0, "not even a lock file");
    });
}

#[test]
fn a_read_only_state_folder_is_a_clear_error_and_nothing_is_applied() {
    world::run(0, |world| {
        let site = Site::new(world);
        let dir = site.dir.path().display();
        world.sh(&format!("mount -t tmpfs -o ro world {dir}"));
        let before = site.snapshot();
        let error = site.try_apply(site.desired(1, &[])).expect_err("cannot be saved");
        assert!(!error.is_final());
        let text = error.to_string();
        assert!(text.contains("Read-only file system") && text.contains("--state-dir"), "{text}");
        assert_eq!(site.snapshot(), before);
        world.sh(&format!("umount {dir}"));
    });
}

#[test]
fn a_dry_run_counts_generations_and_configures_nothing() {
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

#[test]
fn without_wireguard_in_the_kernel_the_error_says_what_to_do() {
    world::run(0, |world| {
        let site = Site::new(world);
        let probe = site.sh("ip link add dev wg-probe type wireguard 2>&1 && ip link del wg-probe || true");
        let host = Host::new(site.dir.path(), Implementation::Kernel).expect("programs are installed");
        let outcome = site.runtime.block_on(host.apply(site.desired(1, &[])));
        if probe.is_empty() {
            assert_eq!(outcome.expect("the kernel can").applied_generation, 1);
        } else {
            let error = outcome.expect_err("the kernel cannot");
            assert!(error.to_string().contains("--wireguard-implementation wireguard-go"), "{error}");
        }
        assert_eq!(world.userspace_tunnels(), 0, "not without being asked");
    });
}
