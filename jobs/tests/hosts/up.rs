//! `uncloud up` with its real workers, in a world of its own: everything from nothing, and back after anything died.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use ring::rand::SystemRandom;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use uncloud::{embedded::Instance, vpn::key::PrivateKey};

use crate::{
    process::{Process, bare, fail, succeed, uncloud_program},
    provider::{Api, HOST, PASSWORD},
    world::{self, World, wait_until},
};

/// How soon a network has to be active after a part of the provider was killed.
const RECOVERED: Duration = Duration::from_secs(15);

/// A running `uncloud up`.
struct Up {
    process: Process,
    /// Of the API.
    address: String,
    data_dir: PathBuf,
    runtime: Arc<Runtime>,
}

fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(uncloud_program());
    command.args(["up", "--listen", "127.0.0.1:0", "--queue", HOST, "--data-dir"]).arg(data_dir);
    bare(&mut command);
    command
}

impl Up {
    /// Starts it on a data folder in the world's own `/run`, and waits for what it says when it is ready.
    fn start() -> Self {
        let data_dir = PathBuf::from("/run/uncloud-data");
        let mut process = Process::start("uncloud up", &mut command(&data_dir));
        let address = process.wait_for_line("  API    http://").split('/').next().expect("an address").to_owned();
        process.wait_for_line("Ctrl-C ends everything in order.");
        let runtime = Arc::new(Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime"));
        Self { process, address, data_dir, runtime }
    }

    fn admin(&self) -> Api {
        let password = fs::read_to_string(self.data_dir.join("admin-password")).expect("kept");
        Api::new(&self.runtime, &self.address, "admin", password.trim())
    }

    fn customer(&self) -> Api {
        Api::new(&self.runtime, &self.address, "nico", PASSWORD)
    }

    /// Prepares the customer, with the command that finds a running instance.
    fn add_customer(&self) {
        let mut command = Command::new(uncloud_program());
        command.args(["bootstrap-user", "--username", "nico", "--data-dir"]).arg(&self.data_dir);
        succeed(bare(&mut command), PASSWORD);
    }

    fn instance(&self) -> Instance {
        Instance::running(&self.data_dir).expect("it runs")
    }

    fn namespace(&self) -> String {
        self.instance().hosts[0].netns.clone().expect("a network of its own")
    }

    /// The process of a child, as soon as it runs (again).
    fn child(&self, name: &str) -> Pid {
        let mut pid = None;
        wait_until(&format!("{name} runs"), || {
            let children = self.instance().children;
            pid = children.iter().find(|child| child.name == name && child.process.is_running()).map(|c| c.process.pid);
            pid.is_some()
        });
        Pid::from_raw(pid.expect("waited for"))
    }

    /// Asks for a network and waits until it is active.
    fn new_network(&self) -> Value {
        let key = PrivateKey::generate(&SystemRandom::new()).expect("random numbers").public_key().to_string();
        let api = self.customer();
        let network = api.create_network(&key);
        api.becomes_active(&network)
    }

    /// Whether the host has the network.
    fn serves(&self, world: &World, network: &Value) -> bool {
        let text = |name: &str| network[name].as_str().expect("text").to_owned();
        let peer = format!("{}\t{}", text("wireguard_public_key"), text("network"));
        world.sh_in(&self.namespace(), "wg show wg-1 allowed-ips").lines().any(|line| line == peer)
    }
}

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
fn from_nothing_to_a_network_and_back_to_nothing() {
    world::run(0, |world| {
        let mut up = Up::start();
        let ready = up.admin().get("/readyz");
        assert_eq!(ready.expect(200)["postgres"], "ok");
        let mode = up.data_dir.join("admin-password").metadata().expect("kept").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        up.admin().job_succeeds(&up.admin().create_pool());
        up.add_customer();
        let network = up.new_network();
        assert!(up.serves(world, &network));
        assert_eq!(namespaces(), [up.namespace()]);

        let second = fail(&mut command(&up.data_dir));
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
fn after_kill_9_the_next_start_has_everything_back() {
    world::run(0, |world| {
        let up = Up::start();
        up.add_customer();
        up.admin().job_succeeds(&up.admin().create_pool());
        let network = up.new_network();
        let children = up.instance().children;
        assert!(children.len() >= 4, "PostgreSQL, Redis, two workers: {children:?}");
        up.process.kill();
        assert!(children.iter().any(|child| child.process.is_running()), "something is left to clean up");

        let mut up = Up::start();
        assert!(children.iter().all(|child| !child.process.is_running()), "{children:?}");
        assert!(up.serves(world, &network), "before anybody asked for it");
        assert_eq!(up.customer().get(&format!("/v1/net/vpn/{}", network["id"])).expect(200)["status"], "active");
        assert!(up.serves(world, &up.new_network()), "and it goes on");
        assert_eq!(world.userspace_tunnels(), 1);
        assert!(up.process.terminate().success());
        assert_eq!(processes(), Vec::<String>::new());
    });
}

#[test]
fn killed_children_come_back() {
    world::run(0, |world| {
        let mut up = Up::start();
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
fn without_a_tun_device_everything_is_a_dry_run_that_says_so() {
    world::run(0, |world| {
        world.sh("mount -t tmpfs world /dev/net");
        let mut up = Up::start();
        assert!(up.process.stdout().contains("dry run, no /dev/net/tun"), "{}", up.process.stdout());
        up.add_customer();
        let pool = up.admin().create_pool();
        up.admin().job_succeeds(&pool);
        let job = up.admin().get(&format!("/v1/job/{}", pool["job"]["id"])).expect(200);
        assert!(job["result"]["dry_run"].as_str().is_some_and(|missing| missing.contains("/dev/net/tun")), "{job}");
        let network = up.new_network();
        assert!(network["reason"].as_str().is_some_and(|reason| reason.contains("/dev/net/tun")), "{network}");
        assert_eq!(namespaces(), Vec::<String>::new());
        assert!(up.process.terminate().success());
        assert_eq!(processes(), Vec::<String>::new());
    });
}

#[test]
fn a_folder_that_postgresql_cannot_reach_is_one_line() {
    world::run(0, |_| {
        fs::create_dir("/run/home").expect("folder");
        fs::set_permissions("/run/home", PermissionsExt::from_mode(0o700)).expect("chmod");
        let mut command = command(Path::new("/run/home/data"));
        let said = fail(command.env("RUST_LOG", "error"));
        assert!(said.contains("/run/home lets nobody else in") && said.contains("--data-dir"), "{said}");
        assert_eq!(processes(), Vec::<String>::new());
        assert_eq!(namespaces(), Vec::<String>::new());
    });
}
