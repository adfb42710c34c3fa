//! `uncloud up` with its real workers, in a world of its own: everything from nothing, and back after anything died.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use nix::sys::signal::{Signal, kill};
use uncloud_testkit::{
    command::fail,
    fixtures::HOST,
    instance::{RunningInstance, up_command},
    wait::wait_until,
    world,
};

/// The time within which a network has to be active after a part of the provider was killed.
const RECOVERED: Duration = Duration::from_secs(15);

/// Programs that run in this world besides this test, which is its first process.
fn processes() -> Vec<String> {
    let is_pid = |name: &str| name.parse::<u32>().is_ok_and(|pid| pid > 1);
    let entries = fs::read_dir("/proc").expect("proc").flatten();
    let stats = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(is_pid))
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    // Nobody waits for the orphans of what was killed.
    stats.filter(|stat| !stat.contains(") Z ")).collect()
}

fn namespaces() -> Vec<String> {
    let names = fs::read_dir("/run/netns").expect("namespaces").flatten();
    names.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name != world::VPN_HOST).collect()
}

#[test]
fn up_on_fresh_machine_serves_network_and_stops_without_leftovers() {
    world::run(0, |world| {
        let mut up = RunningInstance::start();
        let ready = up.admin().get("/readyz");
        assert_eq!(ready.expect(200)["postgres"], "ok");
        let mode = up.data_dir.join("admin-password").metadata().expect("kept").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        up.admin().job_succeeds(&up.admin().create_pool());
        up.add_customer();
        let network = up.new_network();
        assert!(up.serves(world, &network));
        assert_eq!(namespaces(), [up.namespace()]);

        let second = fail(&mut up_command(&up.data_dir));
        assert!(second.contains(&format!("process {}", up.process.pid())), "{second}");
        assert_eq!(up.admin().get("/readyz").status, 200, "the first is not disturbed");

        let runtime_dir = up.instance().runtime_dir.expect("recorded");
        assert!(up.process.terminate().success());
        assert_eq!(processes(), Vec::<String>::new());
        assert_eq!(namespaces(), Vec::<String>::new());
        assert!(!runtime_dir.exists() && !up.data_dir.join("instance.json").exists());
    });
}

#[test]
fn up_after_kill_restores_networks_and_ends_leftover_processes() {
    world::run(0, |world| {
        let up = RunningInstance::start();
        up.add_customer();
        up.admin().job_succeeds(&up.admin().create_pool());
        let network = up.new_network();
        let children = up.instance().children;
        assert!(children.len() >= 4, "PostgreSQL, Redis, two workers: {children:?}");
        up.process.kill();
        assert!(children.iter().any(|child| child.process.is_running()), "something is left to clean up");

        let mut up = RunningInstance::start();
        assert!(children.iter().all(|child| !child.process.is_running()), "{children:?}");
        assert!(up.serves(world, &network), "before anybody asked for it");
        assert_eq!(up.customer().get(&format!("/v1/net/vpn/{}", network["id"])).expect(200)["status"], "active");
        assert!(up.serves(world, &up.new_network()), "and it goes on");
        assert_eq!(world.userspace_tunnels().len(), 1);
        assert!(up.process.terminate().success());
        assert_eq!(processes(), Vec::<String>::new());
    });
}

#[test]
fn up_with_killed_children_restarts_them_and_serves_new_networks() {
    world::run(0, |world| {
        let mut up = RunningInstance::start();
        up.add_customer();
        up.admin().job_succeeds(&up.admin().create_pool());
        up.new_network();
        for name in [&format!("worker {HOST}"), "redis", "postgres"] {
            let before = up.child(name);
            kill(before, Signal::SIGKILL).expect("it runs");
            let killed = Instant::now();
            wait_until(&format!("{name} runs again"), || up.child(name) != before);
            wait_until("the API is ready", || up.admin().get("/readyz").status == 200);
            let network = up.new_network();
            let took = killed.elapsed();
            assert!(took < RECOVERED, "{took:?} after the end of {name}");
            eprintln!("{name}: {took:?}");
            assert!(up.serves(world, &network));
        }
        assert!(up.process.terminate().success());
        assert_eq!(processes(), Vec::<String>::new());
    });
}

#[test]
fn up_without_tun_device_reports_dry_run() {
    world::run(0, |world| {
        world.sh("mount -t tmpfs world /dev/net");
        let mut up = RunningInstance::start();
        assert!(up.process.stdout().contains("dry run, /dev/net/tun"), "{}", up.process.stdout());
        up.add_customer();
        let pool = up.admin().create_pool();
        up.admin().job_succeeds(&pool);
        let job = up.admin().get(&format!("/v1/job/{}", pool["job"]["id"])).expect(200);
        assert!(job["result"]["dry_run"].as_str().is_some_and(|missing| missing.contains("/dev/net/tun")), "{job}");
        let network = up.new_network();
        assert!(network["status_reason"].as_str().is_some_and(|reason| reason.contains("/dev/net/tun")), "{network}");
        assert_eq!(namespaces(), Vec::<String>::new());
        assert!(up.process.terminate().success());
        assert_eq!(processes(), Vec::<String>::new());
    });
}

#[test]
fn up_with_data_folder_closed_to_postgresql_fails_with_one_line() {
    world::run(0, |_| {
        fs::create_dir("/run/home").expect("folder");
        fs::set_permissions("/run/home", PermissionsExt::from_mode(0o700)).expect("chmod");
        let mut command = up_command(Path::new("/run/home/data"));
        let said = fail(command.env("RUST_LOG", "error"));
        assert!(said.contains("/run/home denies access to other users") && said.contains("--data-dir"), "{said}");
        assert_eq!(processes(), Vec::<String>::new());
        assert_eq!(namespaces(), Vec::<String>::new());
    });
}
