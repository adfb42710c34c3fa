//! A running `uncloud up`, started from nothing in a world of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use nix::unistd::Pid;
use serde_json::Value;
use tokio::runtime::Runtime;
use uncloud::embedded::Instance;

use crate::{
    command::{clear_env, succeed},
    fixtures::{HOST, PASSWORD, new_key},
    process::Process,
    programs,
    provider::{ApiClient, client_runtime},
    wait::wait_until,
    world::World,
};

/// The customer of [`RunningInstance::add_customer`].
const CUSTOMER: &str = "nico";

/// A running `uncloud up` with its children.
#[derive(Debug)]
pub struct RunningInstance {
    /// The process of `uncloud up` itself.
    pub process: Process,
    /// The address of the API.
    pub address: String,
    /// The data folder.
    pub data_dir: PathBuf,
    /// The runtime of its API clients.
    pub runtime: Arc<Runtime>,
}

/// Returns the command that starts `uncloud up` for [`HOST`] on a data folder.
pub fn up_command(data_dir: &Path) -> Command {
    command_for(HOST, data_dir)
}

fn command_for(host: &str, data_dir: &Path) -> Command {
    let mut command = Command::new(programs::uncloud());
    command.args(["up", "--listen", "127.0.0.1:0", "--queue", host, "--data-dir"]).arg(data_dir);
    command.args(["--rate-limit", "0"]); // some tests make requests as fast as they can
    clear_env(&mut command);
    command
}

impl RunningInstance {
    /// Starts it on a data folder in the world's own `/run`, and waits until it is ready.
    pub fn start() -> Self {
        Self::start_for(HOST, |_| {})
    }

    /// Starts it for another VPN host, and with a change of its command.
    pub fn start_for(host: &str, change: impl FnOnce(&mut Command)) -> Self {
        let data_dir = PathBuf::from("/run/uncloud-data");
        let mut command = command_for(host, &data_dir);
        change(&mut command);
        Self::wait_for(data_dir, &mut command)
    }

    /// Starts it on a data folder that is kept, on a disk.
    pub fn start_in(data_dir: PathBuf) -> Self {
        let mut command = up_command(&data_dir);
        Self::wait_for(data_dir, &mut command)
    }

    fn wait_for(data_dir: PathBuf, command: &mut Command) -> Self {
        let mut process = Process::start("uncloud up", command);
        let url = process.wait_for_line("  API    http");
        let address = url.split('/').nth(2).expect("an address").to_owned();
        process.wait_for_line("Ctrl-C ends everything in order.");
        Self { process, address, data_dir, runtime: client_runtime() }
    }

    /// Returns a client of the staff user `admin`.
    pub fn admin(&self) -> ApiClient {
        let password = fs::read_to_string(self.data_dir.join("admin-password")).expect("kept");
        ApiClient::new(&self.runtime, &self.address, "admin", password.trim())
    }

    /// Returns a client of the customer whom [`RunningInstance::add_customer`] adds.
    pub fn customer(&self) -> ApiClient {
        ApiClient::new(&self.runtime, &self.address, CUSTOMER, PASSWORD)
    }

    /// Adds a customer.
    pub fn add_customer(&self) {
        self.add_user(CUSTOMER, PASSWORD, &[]);
    }

    /// Adds a user with `uncloud bootstrap-user`, which finds the running instance by its data folder.
    pub fn add_user(&self, name: &str, password: &str, options: &[&str]) {
        let mut command = Command::new(programs::uncloud());
        command.args(["bootstrap-user", "--username", name, "--data-dir"]).arg(&self.data_dir).args(options);
        succeed(clear_env(&mut command), password);
    }

    /// Returns what it has recorded about itself.
    pub fn instance(&self) -> Instance {
        Instance::running(&self.data_dir).expect("it runs")
    }

    /// Returns the network namespace of its VPN host.
    pub fn namespace(&self) -> String {
        self.instance().hosts[0].netns.clone().expect("a network of its own")
    }

    /// Waits until a child runs (again), and returns its process.
    pub fn child(&self, name: &str) -> Pid {
        let mut pid = None;
        wait_until(&format!("{name} runs"), || {
            let children = self.instance().children;
            pid = children.iter().find(|child| child.name == name && child.process.is_running()).map(|c| c.process.pid);
            pid.is_some()
        });
        Pid::from_raw(pid.expect("waited for"))
    }

    /// Creates a network of the customer and waits until it is active.
    pub fn new_network(&self) -> Value {
        let api = self.customer();
        let network = api.create_network(&new_key());
        api.becomes_active(&network)
    }

    /// Returns whether the VPN host has a network.
    pub fn serves(&self, world: &World, network: &Value) -> bool {
        let text = |name: &str| network[name].as_str().expect("text").to_owned();
        let peer = format!("{}\t{}", text("wireguard_public_key"), text("network"));
        world.sh_in(&self.namespace(), "wg show wg-1 allowed-ips").lines().any(|line| line == peer)
    }
}
