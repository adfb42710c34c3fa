//! The worker as an unprivileged user: what it needs works.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    time::{Duration, Instant},
};

use nix::sys::signal::{Signal, kill};
use uncloud_testkit::{
    wait::wait_until,
    world::{self, VPN_HOST, World, client},
};
use uncloud_wire::desired::InterfaceState;

use crate::{
    account::{Account, Rights, said},
    site::{PORT, SERVER, Site, UNREACHABLE, desired},
    tunnel::{SteadyPing, Tunnel},
};

#[test]
fn worker_with_sudo_and_shipped_rules_manages_tunnels() {
    world::run(2, |world| whole_story(world, Rights::Sudo));
}

#[test]
fn worker_with_cap_net_admin_and_no_sudo_manages_tunnels() {
    world::run(2, |world| whole_story(world, Rights::NetAdmin));
}

/// Every kind of call that the worker makes, each through the worker's own program.
fn whole_story(world: &World, rights: Rights) {
    let site = Site::new(world);
    let worker = Account::new(&site, rights);
    let (one, two) = (Tunnel::new(1), Tunnel::new(2));
    worker.apply(&site, &site.desired(1, &[&one, &two]), &[]);
    for tunnel in [&one, &two] {
        tunnel.start(world, site.key.public_key(), PORT);
        tunnel.wait_for_answer(world, SERVER);
    }
    assert_eq!(world.ping(VPN_HOST, &one.address(), 3), 3, "host to client1");
    assert_eq!(world.ping(&client(1), &two.address(), 3), 3, "client1 to client2");
    assert_eq!(world.ping(&client(2), &one.address(), 3), 3, "client2 to client1");
    assert!(site.sh("ip -6 route").contains(UNREACHABLE));
    let owner = if rights == Rights::Sudo { "0" } else { "64999" };
    assert_eq!(
        world.sh("ps -o uid= -C wireguard-go | head -n 1").trim(),
        owner,
        "wireguard-go is as strong as it must"
    );

    let mut ping = SteadyPing::start(world, &client(2), SERVER);
    ping.read(50);
    worker.apply(&site, &site.desired(2, &[&two]), &[]);
    ping.read(100);
    let lost = ping.lost();
    assert!(lost.len() <= 5, "{lost:?}");
    assert_eq!(world.ping(&client(1), SERVER, 3), 0, "client1 is out");

    for what in ["latest-handshakes", "transfer"] {
        let mut status = worker.command(if rights == Rights::Sudo { "sudo" } else { "wg" });
        let words = if rights == Rights::Sudo { &["-n", "/usr/bin/wg", "show"][..] } else { &["show"] };
        let output = status.args(words).args(["wg-1", what]).output().expect("starts");
        assert!(output.status.success() && said(&output).contains(&two.public_key().to_string()), "{}", said(&output));
    }

    // Work by hand, mended: surplus of every kind, a missing MTU.
    site.sh("ip addr add 10.9.9.9/24 dev wg-1; ip addr add 2001:db8:99::1/64 dev wg-1 nodad
             ip route add ::/1 dev wg-1; ip route add 192.0.2.1 dev wg-1; ip link set wg-1 mtu 1300");
    worker.apply(&site, &site.desired(3, &[&two]), &[]);
    let now = site.sh("ip addr show wg-1; ip -6 route; ip -4 route");
    assert!(!now.contains("10.9.9.9") && !now.contains("2001:db8:99::") && !now.contains("192.0.2.1"), "{now}");
    assert!(!now.contains("::/1 ") && now.contains("mtu 1420"), "{now}");

    // Renumbered, with IPv4; then deleted.
    let mut config = site.config(&[]);
    config.addresses = vec!["2001:db8:aa::1/48".parse().expect("net"), "10.1.0.1/24".parse().expect("net")];
    config.routes = vec!["2001:db8:aa::/40".parse::<ipnet::IpNet>().expect("net").trunc()];
    config.routes.push("10.0.0.0/8".parse().expect("net"));
    let old = ["2a0a:e5c1:200::/40"];
    worker.apply(&site, &desired(4, InterfaceState::Present(config.clone())), &old);
    let routes = site.sh("ip -6 route; ip -4 route");
    assert!(!routes.contains("2a0a:e5c1") && routes.contains("unreachable 10.0.0.0/8 metric 4278198272"), "{routes}");
    let new: Vec<String> = config.routes.iter().map(ToString::to_string).collect();
    let new: Vec<&str> = new.iter().map(String::as_str).collect();
    worker.apply(&site, &desired(5, InterfaceState::Absent), &new);
    assert!(!site.has_interface());
    let routes = site.sh("ip -6 route; ip -4 route");
    assert!(!routes.contains("unreachable"), "{routes}");
}

#[test]
fn worker_without_rights_fails_with_clear_error() {
    world::run(0, |world| {
        let site = Site::new(world);
        let worker = Account::new(&site, Rights::None);
        let output = worker.try_apply(&site, &site.desired(1, &[]), &[]);
        assert!(!output.status.success());
        assert!(said(&output).contains("Operation not permitted"), "{}", said(&output));
        assert!(!site.has_interface());
        let mut with_sudo = worker.restore(&site);
        let output = with_sudo.arg("--sudo").output().expect("starts");
        assert!(said(&output).contains("/usr/lib/uncloud/wg-syncconf"), "no helper: {}", said(&output));
    });
}

#[test]
fn apply_without_sudo_rules_fails_and_names_the_rules() {
    world::run(0, |world| {
        let site = Site::new(world);
        let worker = Account::new(&site, Rights::Sudo);
        world.sh("rm /etc/sudoers.d/uncloud");
        let said = said(&worker.try_apply(&site, &site.desired(1, &[]), &[]));
        assert!(said.contains("check that uncloud's rules for sudo are installed"), "{said}");
    });
}

#[test]
fn apply_with_hanging_sudo_command_times_out_and_leaves_no_process() {
    world::run(0, |world| {
        let site = Site::new(world);
        let worker = Account::new(&site, Rights::Sudo);
        worker.apply(&site, &site.desired(1, &[]), &[]);
        let implementations = world.userspace_tunnels();
        let [implementation] = implementations[..] else { panic!("{implementations:?}") };
        kill(implementation, Signal::SIGSTOP).expect("it runs");
        let started = Instant::now();
        let said = said(&worker.try_apply(&site, &site.desired(2, &[]), &[]));
        assert!(started.elapsed() < Duration::from_secs(14), "it was told to end, before sudo would have: {said}");
        assert!(said.contains("wg show wg-1") && said.contains("10 s"), "{said}");
        let running = || world.sh("ps -o stat=,args= -C sudo,wg | grep -v '^Z' || true");
        wait_until("nothing is left that could still do it", || running().is_empty());

        // The same of the helper, which has a child of its own.
        let mut command = worker.command("/usr/bin/sudo");
        let file = site.dir.path().join("state/empty.conf");
        fs::write(&file, "[Interface]\n").expect("written");
        command.args(["-n", "/usr/lib/uncloud/wg-syncconf", "wg-1"]).stdin(File::open(file).expect("readable"));
        let mut helper = command.process_group(0).spawn().expect("starts");
        wait_until("wg hangs", || running().contains("wg syncconf"));
        worker.sh(&format!("kill -TERM -{}", helper.id()), "");
        wait_until("it ends", || helper.try_wait().expect("a child").is_some());
        wait_until("nothing is left of it either", || running().is_empty());
        kill(implementation, Signal::SIGCONT).expect("it runs");
        worker.apply(&site, &site.desired(2, &[]), &[]);
    });
}
