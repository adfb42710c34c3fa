//! Whoever bills: a database, `uncloud` by hand, and a server with workers.

mod books;
mod customers;
mod ledger;

pub(crate) use books::Books;
pub(crate) use customers::{RUNS, at};
pub(crate) use ledger::Ledger;

use std::{path::Path, process::Command};

use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uncloud::embedded::throwaway::ThrowawayRedis;
use uncloud_wire::Secret;

use crate::process::{Process, bare, succeed, uncloud_program, worker_program};

const SECRET_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// A provider's database, and who looks into it.
pub(crate) struct Office {
    pub(crate) runtime: Runtime,
    pub(crate) pool: PgPool,
    url: Secret<String>,
}

impl Office {
    pub(crate) fn on(url: Secret<String>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
        let pool = {
            let _runtime = runtime.enter();
            PgPoolOptions::new().max_connections(2).connect_lazy(url.expose()).expect("a URL")
        };
        Self { runtime, pool, url }
    }

    /// The command `uncloud` on this database.
    pub(crate) fn uncloud(&self, args: &[&str]) -> Command {
        let mut command = Command::new(uncloud_program());
        bare(command.args(args)).env("DATABASE_URL", self.url.expose());
        command
    }

    /// Runs it; it must succeed. What it says.
    pub(crate) fn tell(&self, args: &[&str]) -> String {
        succeed(&mut self.uncloud(args), "")
    }

    /// `uncloud bill run`, which goes on by itself.
    pub(crate) fn bill_run(&self, as_of: &str) -> Process {
        Process::start("uncloud bill run", &mut self.uncloud(&["bill", "run", "--as-of", as_of]))
    }

    pub(crate) fn execute(&self, sql: &str) {
        let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&self.pool);
        self.runtime.block_on(done).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(crate) fn rows<T>(&self, sql: &str) -> Vec<T>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let rows = sqlx::query_as(AssertSqlSafe(sql.to_owned())).fetch_all(&self.pool);
        self.runtime.block_on(rows).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// What `uncloud bill verify` finds; nothing.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        let faults = self.runtime.block_on(uncloud::billing::verify::verify(&self.pool)).expect("verified");
        assert!(faults.is_empty(), "{faults:?}");
    }
}

/// Waits for a run by command that nobody kills. That some customers can't be billed is its only reason to complain.
pub(crate) fn end(command: &mut Process) {
    let status = command.wait();
    let said = command.stderr();
    assert!(status.success() || said.contains("customers could not be billed"), "{status}: {said}");
}

/// A worker for the queue `billing`.
pub(crate) fn worker(name: &str, database_url: &str, redis_url: &str, state_dir: &Path) -> Process {
    let mut command = Command::new(worker_program());
    command.args(["--queue", "billing", "--name", name, "--dry-run", "nothing, it only bills"]);
    command.arg("--state-dir").arg(state_dir);
    bare(&mut command).env("DATABASE_URL", database_url).env("REDIS_URL", redis_url);
    let mut worker = Process::start("uncloud-worker", &mut command);
    worker.wait_for_line("working");
    worker
}

/// `uncloud serve`, and workers for the queue `billing`.
pub(crate) struct Crew {
    workers: Vec<Process>,
    _server: Process,
    database_url: Secret<String>,
    redis: ThrowawayRedis,
    folder: TempDir,
}

impl Crew {
    pub(crate) fn start(office: &Office, workers: usize) -> Self {
        let redis = ThrowawayRedis::start().expect("Redis");
        let mut server = office.uncloud(&["serve", "--listen", "127.0.0.1:0"]);
        server.env("REDIS_URL", redis.url().expose()).env("UNCLOUD_SECRET_KEY", SECRET_KEY);
        let mut server = Process::start("uncloud serve", &mut server);
        server.wait_for_line("serving");
        let folder = tempfile::tempdir().expect("folder");
        let mut crew = Self { workers: Vec::new(), _server: server, database_url: office.url.clone(), redis, folder };
        crew.workers.extend((0..workers).map(|n| crew.worker(n)).collect::<Vec<_>>());
        crew
    }

    fn worker(&self, n: usize) -> Process {
        let name = format!("clerk-{n}");
        worker(&name, self.database_url.expose(), self.redis.url().expose(), self.folder.path())
    }

    /// Lets somebody end a worker, and starts another one in its place, as systemd does.
    pub(crate) fn kill(&mut self, n: usize, kill: impl FnOnce(Process)) {
        kill(self.workers.remove(n));
        self.workers.insert(n, self.worker(n));
    }
}
