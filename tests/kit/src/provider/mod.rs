//! A provider as operators have it: PostgreSQL, Redis and `uncloud serve` as processes.

mod client;

pub use client::{ApiClient, Response};

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::runtime::{Builder, Runtime};

use crate::{
    command::{clear_env, succeed},
    fixtures::{HOST, PASSWORD, SECRET_KEY},
    process::Process,
    programs,
    servers::{PostgresServer, RedisServer},
    world::{VPN_HOST, World},
};

/// A provider; its processes end when the value is dropped.
#[derive(Debug)]
pub struct Provider {
    server: Option<Process>,
    server_changes: Arc<AtomicUsize>,
    address: String,
    /// The runtime of its API clients.
    pub runtime: Arc<Runtime>,
    redis: RedisServer,
    postgres: PostgresServer,
}

impl Provider {
    /// Sets everything up as an operator does: schema, the staff user `admin`, the customers, the server.
    pub fn start(customers: &[&str]) -> Self {
        let (postgres, redis) = (PostgresServer::start(), RedisServer::start());
        let address = "127.0.0.1:0".to_owned();
        let runtime = client_runtime();
        let mut provider = Self { server: None, server_changes: Arc::default(), address, runtime, redis, postgres };
        set_up_database(|| provider.uncloud(), customers);
        provider.start_server();
        provider
    }

    /// Returns the command `uncloud` with its database.
    pub fn uncloud(&self) -> Command {
        let mut command = Command::new(programs::uncloud());
        clear_env(&mut command).env("DATABASE_URL", self.postgres.url("uncloud").expose());
        command
    }

    /// Starts `uncloud serve`; again on the port that it had.
    pub fn start_server(&mut self) {
        self.server = Some(start_server(&mut self.uncloud(), &self.redis, &mut self.address));
        self.server_changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Kills the server with SIGKILL.
    pub fn kill_server(&mut self) {
        self.server_changes.fetch_add(1, Ordering::SeqCst);
        self.server.take().expect("it runs").kill();
    }

    /// Starts a worker for [`HOST`] on the VPN host. It knows Redis and nothing else.
    pub fn worker(&self, world: &World, state_dir: &Path) -> Process {
        Process::start("uncloud-worker", &mut self.worker_command(world, state_dir))
    }

    /// Returns the command of [`Provider::worker`].
    pub fn worker_command(&self, world: &World, state_dir: &Path) -> Command {
        let mut command = world.command(VPN_HOST, programs::uncloud_worker());
        command.args(["--queue", HOST]).args(host_options(state_dir));
        clear_env(&mut command).env("REDIS_URL", self.redis.url().expose());
        command
    }

    /// Starts a worker for [`HOST`] that keeps states and configures nothing.
    pub fn dry_worker(&self, state_dir: &Path) -> Process {
        let mut command = Command::new(programs::uncloud_worker());
        command.args(["--queue", HOST, "--dry-run", "nothing, this is a test", "--state-dir"]).arg(state_dir);
        Process::start("uncloud-worker", clear_env(&mut command).env("REDIS_URL", self.redis.url().expose()))
    }

    /// Returns a client that makes requests as one user.
    pub fn api(&self, user: &str) -> ApiClient {
        let api = ApiClient::new(&self.runtime, &self.address, user, PASSWORD);
        api.of_changing_server(&self.server_changes)
    }

    /// Returns the URL of its Redis.
    pub fn redis_url(&self) -> String {
        self.redis.url().expose().clone()
    }

    /// Returns the URL of its database.
    pub fn database_url(&self) -> String {
        self.postgres.url("uncloud").expose().clone()
    }
}

/// Makes a runtime for API clients, which costs one thread.
pub fn client_runtime() -> Arc<Runtime> {
    Arc::new(Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime"))
}

/// Prepares an empty database with `uncloud` commands: schema, the customers, the staff user `admin`.
pub(crate) fn set_up_database(uncloud: impl Fn() -> Command, customers: &[&str]) {
    succeed(uncloud().arg("db-add-defaults"), "");
    for customer in customers {
        succeed(uncloud().args(["bootstrap-user", "--username", customer]), PASSWORD);
    }
    succeed(uncloud().args(["bootstrap-user", "--username", "admin", "--staff"]), PASSWORD);
}

/// Starts `uncloud serve`, without rate limits, at an address; port 0 in it is replaced by the one that was chosen.
pub(crate) fn start_server(uncloud: &mut Command, redis: &RedisServer, address: &mut String) -> Process {
    uncloud.args(["serve", "--rate-limit", "0", "--listen", address]);
    uncloud.env("REDIS_URL", redis.url().expose()).env("UNCLOUD_SECRET_KEY", SECRET_KEY);
    let mut server = Process::start("uncloud serve", uncloud);
    server.wait_for_line("serving; try /api/ and /docs address=").trim().clone_into(address);
    server
}

/// Returns the options that tell a worker, or `restore`, about a VPN host.
pub fn host_options(state_dir: &Path) -> [String; 4] {
    let state_dir = state_dir.display().to_string();
    ["--state-dir".into(), state_dir, "--wireguard-implementation".into(), "wireguard-go".into()]
}
