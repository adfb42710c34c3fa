//! A running `uncloud up`, started from nothing in a world of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use nix::unistd::Pid;
use ring::rand::SystemRandom;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use uncloud::embedded::Instance;
use uncloud_wire::key::PrivateKey;

use crate::{
    process::{Process, bare, succeed, uncloud_program},
    provider::{Api, HOST, PASSWORD},
    world::{World, wait_until},
};

/// A running `uncloud up`.
pub(crate) struct Up {
    pub(crate) process: Process,
    /// Of the API.
    pub(crate) address: String,
    pub(crate) data_dir: PathBuf,
    pub(crate) runtime: Arc<Runtime>,
}

pub(crate) fn command(data_dir: &Path) -> Command {
    command_for(HOST, data_dir)
}

fn command_for(host: &str, data_dir: &Path) -> Command {
    let mut command = Command::new(uncloud_program());
    command.args(["up", "--listen", "127.0.0.1:0", "--queue", host, "--data-dir"]).arg(data_dir);
    command.args(["--rate-limit", "0"]); // some ask as fast as they can
    bare(&mut command);
    command
}

/// A public key that nobody has yet.
pub(crate) fn new_key() -> String {
    PrivateKey::generate(&SystemRandom::new()).expect("random numbers").public_key().to_string()
}

impl Up {
    /// Starts it on a data folder in the world's own `/run`, and waits for what it says when it is ready.
    pub(crate) fn start() -> Self {
        Self::start_for(HOST, |_| {})
    }

    /// The same for another host, and with whatever else the command shall be told.
    pub(crate) fn start_for(host: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        Self::start_in("/run/uncloud-data".into(), host, prepare)
    }

    /// The same on a data folder that is kept, on a disk.
    pub(crate) fn start_in(data_dir: PathBuf, host: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = command_for(host, &data_dir);
        prepare(&mut command);
        let mut process = Process::start("uncloud up", &mut command);
        let url = process.wait_for_line("  API    http");
        let address = url.split('/').nth(2).expect("an address").to_owned();
        process.wait_for_line("Ctrl-C ends everything in order.");
        let runtime = Arc::new(Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime"));
        Self { process, address, data_dir, runtime }
    }

    pub(crate) fn admin(&self) -> Api {
        let password = fs::read_to_string(self.data_dir.join("admin-password")).expect("kept");
        Api::new(&self.runtime, &self.address, "admin", password.trim())
    }

    pub(crate) fn customer(&self) -> Api {
        Api::new(&self.runtime, &self.address, "nico", PASSWORD)
    }

    /// Prepares the customer.
    pub(crate) fn add_customer(&self) {
        self.add_user("nico", PASSWORD, &[]);
    }

    /// Prepares a user, with the command that finds a running instance.
    pub(crate) fn add_user(&self, name: &str, password: &str, options: &[&str]) {
        let mut command = Command::new(uncloud_program());
        command.args(["bootstrap-user", "--username", name, "--data-dir"]).arg(&self.data_dir).args(options);
        succeed(bare(&mut command), password);
    }

    pub(crate) fn instance(&self) -> Instance {
        Instance::running(&self.data_dir).expect("it runs")
    }

    pub(crate) fn namespace(&self) -> String {
        self.instance().hosts[0].netns.clone().expect("a network of its own")
    }

    /// The process of a child, as soon as it runs (again).
    pub(crate) fn child(&self, name: &str) -> Pid {
        let mut pid = None;
        wait_until(&format!("{name} runs"), || {
            let children = self.instance().children;
            pid = children.iter().find(|child| child.name == name && child.process.is_running()).map(|c| c.process.pid);
            pid.is_some()
        });
        Pid::from_raw(pid.expect("waited for"))
    }

    /// Asks for a network and waits until it is active.
    pub(crate) fn new_network(&self) -> Value {
        let api = self.customer();
        let network = api.create_network(&new_key());
        api.becomes_active(&network)
    }

    /// Whether the host has the network.
    pub(crate) fn serves(&self, world: &World, network: &Value) -> bool {
        let text = |name: &str| network[name].as_str().expect("text").to_owned();
        let peer = format!("{}\t{}", text("wireguard_public_key"), text("network"));
        world.sh_in(&self.namespace(), "wg show wg-1 allowed-ips").lines().any(|line| line == peer)
    }
}
