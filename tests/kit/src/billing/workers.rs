//! `uncloud serve` and workers for the queue `billing`.

use std::{path::Path, process::Command};

use tempfile::TempDir;
use uncloud_wire::Secret;

use super::BillingDatabase;
use crate::{command::clear_env, fixtures::SECRET_KEY, process::Process, programs, servers::RedisServer};

/// Starts a worker for the queue `billing`, and waits until it works.
pub fn start_worker(name: &str, database_url: &str, redis_url: &str, state_dir: &Path) -> Process {
    let mut command = Command::new(programs::uncloud_worker());
    command.args(["--queue", "billing", "--name", name, "--dry-run", "nothing, it only bills"]);
    command.arg("--state-dir").arg(state_dir);
    clear_env(&mut command).env("DATABASE_URL", database_url).env("REDIS_URL", redis_url);
    let mut worker = Process::start("uncloud-worker", &mut command);
    worker.wait_for_line("working");
    worker
}

/// A server and its billing workers; they end when the value is dropped.
#[derive(Debug)]
pub struct BillingWorkers {
    workers: Vec<Process>,
    _server: Process,
    database_url: Secret<String>,
    redis: RedisServer,
    folder: TempDir,
}

impl BillingWorkers {
    /// Starts a server and so many workers.
    pub fn start(database: &BillingDatabase, workers: usize) -> Self {
        let redis = RedisServer::start();
        let mut server = database.uncloud(&["serve", "--listen", "127.0.0.1:0"]);
        server.env("REDIS_URL", redis.url().expose()).env("UNCLOUD_SECRET_KEY", SECRET_KEY);
        let mut server = Process::start("uncloud serve", &mut server);
        server.wait_for_line("serving");
        let folder = tempfile::tempdir().expect("folder");
        let database_url = database.url.clone();
        let mut this = Self { workers: Vec::new(), _server: server, database_url, redis, folder };
        this.workers.extend((0..workers).map(|n| this.worker(n)).collect::<Vec<_>>());
        this
    }

    fn worker(&self, n: usize) -> Process {
        let name = format!("clerk-{n}");
        start_worker(&name, self.database_url.expose(), self.redis.url().expose(), self.folder.path())
    }

    /// Ends worker `n` by `kill`, and starts another one in its place, as systemd does.
    pub fn replace(&mut self, n: usize, kill: impl FnOnce(Process)) {
        kill(self.workers.remove(n));
        self.workers.insert(n, self.worker(n));
    }
}
