//! Everything but the processes, which each test starts as it needs them.

use std::{fs, process::Command, time::Duration};

use redis::Commands as _;
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool, postgres::PgPoolOptions, postgres::PgRow};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uncloud::queue::{self, NewJob};
use uncloud_wire::{JobId, QueueName};

use super::{Action, Addresses, QUEUE, new_job, queue_name, trace_file};
use crate::{
    command::{clear_env, output},
    process::Process,
    programs,
    servers::{PostgresServer, RedisServer},
    wait::wait_until,
};

/// A job as its row in the database has it.
#[derive(Debug, FromRow)]
#[expect(missing_docs, reason = "the columns of the table `job`")]
pub struct JobRow {
    pub state: String,
    pub attempt: i32,
    pub failures: i32,
    pub error: Option<String>,
    pub result: Option<Value>,
    pub progress: Option<Value>,
    pub worker: Option<String>,
}

impl JobRow {
    /// Returns whether the job has ended.
    pub fn is_final(&self) -> bool {
        !["queued", "dispatched", "running"].contains(&self.state.as_str())
    }

    /// Panics unless the job's error has `text` in it.
    #[track_caller]
    pub fn assert_error(&self, text: &str) {
        assert!(self.error.as_deref().is_some_and(|error| error.contains(text)), "{text:?} in {self:?}");
    }
}

/// A database, a Redis, and the means to start servers and workers with them.
#[derive(Debug)]
pub struct Stage {
    /// The runtime of the test's own queries.
    pub runtime: Runtime,
    /// The database.
    pub pool: PgPool,
    /// The broker.
    pub redis: RedisServer,
    /// The folder and URLs that servers and workers are started with.
    pub addresses: Addresses,
    queue: QueueName,
    folder: TempDir,
}

impl Stage {
    /// Makes a stage on a new database of the shared server.
    pub fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("runtime");
        let url = runtime.block_on(PostgresServer::shared().new_database(None));
        Self::on(url.expose().clone())
    }

    /// Makes a stage on an empty database of the test's own.
    pub fn on(database_url: String) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
        let options = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(30));
        let pool = {
            let _runtime = runtime.enter();
            options.connect_lazy(&database_url).expect("a URL")
        };
        runtime.block_on(uncloud::migrations::migrate(&pool)).expect("migrations");
        let redis = RedisServer::start();
        let folder = tempfile::tempdir().expect("folder");
        let redis_url = redis.url().expose().clone();
        let addresses = Addresses { database_url, redis_url, folder: folder.path().to_owned() };
        Self { runtime, pool, redis, addresses, queue: queue_name(), folder }
    }

    /// Starts a server.
    pub fn server(&self) -> Process {
        let mut server = Process::start("server", &mut self.addresses.server());
        server.wait_for_line("serving");
        server
    }

    /// Kills a server, and waits until PostgreSQL has ended its sessions: a transaction of which the commit has been sent
    /// is committed after the server's death.
    pub fn kill_server(&self, server: Process) {
        server.kill();
        let sessions = "select count(*) from pg_stat_activity
            where datname = current_database() and application_name = 'server'";
        wait_until("its sessions end", || self.number(sessions) == 0);
    }

    /// Starts a worker for [`QUEUE`] with four slots.
    pub fn worker(&self) -> Process {
        self.worker_with(4)
    }

    /// Starts a worker for [`QUEUE`] with `concurrency` slots.
    pub fn worker_with(&self, concurrency: usize) -> Process {
        self.start_worker(&mut self.addresses.worker(QUEUE, concurrency))
    }

    /// Starts a worker by a command, and waits until it works.
    pub fn start_worker(&self, command: &mut Command) -> Process {
        let mut worker = Process::start("worker", command);
        worker.wait_for_line("working");
        worker
    }

    /// Enqueues a job for an action.
    pub fn enqueue(&self, action: &Action) -> JobId {
        self.enqueue_with(action, |_| {})
    }

    /// Enqueues a job to which `change` may give other terms, in a transaction of its own, as a request does.
    pub fn enqueue_with<'a>(&'a self, action: &Action, change: impl FnOnce(&mut NewJob<'a>)) -> JobId {
        let job = new_job(action, &self.queue, change);
        self.transaction(async |tx| queue::enqueue(tx, &job).await.expect("enqueued"))
    }

    /// Does something in a transaction, commits it, and wakes the relays.
    pub fn transaction<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> T) -> T {
        self.runtime.block_on(async {
            let mut tx = uncloud::request_context::begin(&self.pool).await.expect("PostgreSQL");
            let done = work(&mut tx).await;
            tx.commit().await.expect("committed");
            queue::wake_relays(&self.pool).await.expect("woken");
            done
        })
    }

    /// Executes a statement.
    pub fn execute(&self, sql: &'static str) {
        self.runtime.block_on(sqlx::query(sql).execute(&self.pool)).expect(sql);
    }

    /// Returns the rows of a query.
    pub fn rows<T>(&self, sql: &'static str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.runtime.block_on(sqlx::query_as(sql).fetch_all(&self.pool)).expect(sql)
    }

    /// Returns the number that a query has as its only value.
    pub fn number(&self, sql: &'static str) -> i64 {
        self.rows::<(i64,)>(sql)[0].0
    }

    /// Returns a job's row.
    pub fn job(&self, job: JobId) -> JobRow {
        let sql = "select state, attempt, failures, error, result, progress, worker from job where job_id = $1";
        self.runtime.block_on(sqlx::query_as(sql).bind(job).fetch_one(&self.pool)).expect("the job")
    }

    /// Waits until a job has a state; panics as soon as it has ended in another one.
    #[track_caller]
    pub fn wait_for(&self, job: JobId, state: &str) -> JobRow {
        let mut last = self.job(job);
        wait_until(&format!("job {job} is {state}"), || {
            last = self.job(job);
            assert!(last.state == state || !last.is_final(), "job {job} is to be {state}: {last:?}");
            last.state == state
        });
        last
    }

    /// Returns the process ids of the workers that have started the job, in order.
    pub fn starts(&self, job: JobId) -> Vec<i32> {
        let text = fs::read_to_string(trace_file(self.folder.path(), job)).unwrap_or_default();
        let line = |line: &str| line.strip_prefix("start ").map(|pid| pid.parse().expect("a number"));
        text.lines().filter_map(line).collect()
    }

    /// Waits until a worker has started the job.
    pub fn wait_for_start(&self, job: JobId) {
        wait_until(&format!("job {job} starts"), || !self.starts(job).is_empty());
    }

    /// Returns the command `uncloud` with this database.
    pub fn uncloud(&self, args: &[&str]) -> Command {
        let mut command = Command::new(programs::uncloud());
        clear_env(command.args(args)).env("DATABASE_URL", &self.addresses.database_url);
        command
    }

    /// Runs `uncloud`, which must succeed, and returns its output and its log.
    #[track_caller]
    pub fn run_uncloud(&self, args: &[&str]) -> String {
        let output = output(&mut self.uncloud(args), "");
        let written = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text")).concat();
        assert!(output.status.success(), "{args:?}: {written}");
        written
    }

    /// Waits until neither jobs nor reports are left in Redis.
    pub fn wait_until_redis_is_empty(&self) {
        let mut redis = self.redis.connect();
        let keys = [queue_name().jobs_key(), queue_name().events_key()];
        wait_until("Redis holds no jobs and no events", || {
            keys.iter().all(|key| redis.xlen::<_, usize>(key).expect("length") == 0)
        });
    }
}
