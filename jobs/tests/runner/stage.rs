//! PostgreSQL, Redis, and servers and workers as processes.

use std::{
    fs,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nix::unistd::Pid;
use redis::Commands as _;
use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uncloud::{
    embedded::throwaway::{ThrowawayPostgres, ThrowawayRedis},
    queue::{self, NewJob, Policy},
};
use uncloud_wire::{JobId, QueueName};

use crate::{
    actor::{self, Act, Addresses},
    process::{self, Process},
    world::wait_until,
};

/// What brings this program to [`actor::play`]; the test of that name does.
pub(crate) const ARGUMENTS: [&str; 4] = ["the_parts_are_played", "--exact", "--nocapture", "--test-threads=1"];

/// The queue of most jobs.
pub(crate) const QUEUE: &str = "vpn-1.example.ch";

/// A job as its row says.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Job {
    pub(crate) state: String,
    pub(crate) attempt: i32,
    pub(crate) failures: i32,
    pub(crate) error: Option<String>,
    pub(crate) result: Option<serde_json::Value>,
    pub(crate) progress: Option<serde_json::Value>,
    pub(crate) worker: Option<String>,
}

impl Job {
    pub(crate) fn is_final(&self) -> bool {
        !["queued", "dispatched", "running"].contains(&self.state.as_str())
    }

    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        assert!(self.error.as_deref().is_some_and(|error| error.contains(text)), "{text:?} in {self:?}");
    }
}

/// Everything but the processes, which each test starts as it needs them.
pub(crate) struct Stage {
    pub(crate) runtime: Runtime,
    pub(crate) pool: PgPool,
    pub(crate) redis: ThrowawayRedis,
    pub(crate) addresses: Addresses,
    queue: QueueName,
    folder: TempDir,
}

/// One server for all tests of a process, with a database for each.
fn database() -> String {
    static POSTGRES: OnceLock<ThrowawayPostgres> = OnceLock::new();
    static DATABASES: AtomicU32 = AtomicU32::new(0);
    let server = POSTGRES.get_or_init(|| ThrowawayPostgres::start().expect("PostgreSQL"));
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let runtime = Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(server.create_database(&name, None)).expect("database").expose().clone()
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::on(database())
    }

    /// On an empty database of the test's own.
    pub(crate) fn on(database_url: String) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
        let options = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(30));
        let pool = {
            let _runtime = runtime.enter();
            options.connect_lazy(&database_url).expect("a URL")
        };
        runtime.block_on(uncloud::migrations::migrate(&pool)).expect("migrations");
        let redis = ThrowawayRedis::start().expect("Redis");
        let folder = tempfile::tempdir().expect("folder");
        let redis_url = redis.url().expose().clone();
        let addresses = Addresses { database_url, redis_url, folder: folder.path().to_owned() };
        Self { runtime, pool, redis, addresses, queue: queue_name(), folder }
    }

    pub(crate) fn server(&self) -> Process {
        let mut server = Process::start("server", &mut self.addresses.server(&ARGUMENTS));
        server.wait_for_line("serving");
        server
    }

    /// A worker for [`QUEUE`] with four slots.
    pub(crate) fn worker(&self) -> Process {
        self.worker_with(4)
    }

    pub(crate) fn worker_with(&self, concurrency: usize) -> Process {
        let mut worker = Process::start("worker", &mut self.addresses.worker(&ARGUMENTS, QUEUE, concurrency));
        worker.wait_for_line("working");
        worker
    }

    pub(crate) fn enqueue(&self, act: &Act) -> JobId {
        self.enqueue_with(act, |_| {})
    }

    /// A job that `change` may give other terms. It is in a transaction of its own, as a request's is.
    pub(crate) fn enqueue_with<'a>(&'a self, act: &Act, change: impl FnOnce(&mut NewJob<'a>)) -> JobId {
        let job = with(act, &self.queue, change);
        self.transaction(async |tx| queue::enqueue(tx, &job).await.expect("enqueued"))
    }

    pub(crate) fn transaction<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> T) -> T {
        self.runtime.block_on(async {
            let mut tx = uncloud::request_context::begin(&self.pool).await.expect("PostgreSQL");
            let done = work(&mut tx).await;
            tx.commit().await.expect("committed");
            queue::wake_relays(&self.pool).await.expect("told");
            done
        })
    }

    pub(crate) fn execute(&self, sql: &'static str) {
        self.runtime.block_on(sqlx::query(sql).execute(&self.pool)).expect(sql);
    }

    pub(crate) fn rows<T>(&self, sql: &'static str) -> Vec<T>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        self.runtime.block_on(sqlx::query_as(sql).fetch_all(&self.pool)).expect(sql)
    }

    pub(crate) fn number(&self, sql: &'static str) -> i64 {
        self.rows::<(i64,)>(sql)[0].0
    }

    pub(crate) fn job(&self, job: JobId) -> Job {
        let sql = "select state, attempt, failures, error, result, progress, worker from job where job_id = $1";
        self.runtime.block_on(sqlx::query_as(sql).bind(job).fetch_one(&self.pool)).expect("the job")
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, job: JobId, state: &str) -> Job {
        let mut last = self.job(job);
        wait_until(&format!("job {job} is {state}"), || {
            last = self.job(job);
            assert!(last.state == state || !last.is_final(), "job {job} is to be {state}: {last:?}");
            last.state == state
        });
        last
    }

    /// The numbers of the processes that have begun the job, in order.
    pub(crate) fn begun(&self, job: JobId) -> Vec<i32> {
        let text = fs::read_to_string(actor::trace_file(self.folder.path(), job)).unwrap_or_default();
        let line = |line: &str| line.strip_prefix("begin ").map(|pid| pid.parse().expect("a number"));
        text.lines().filter_map(line).collect()
    }

    pub(crate) fn wait_for_begin(&self, job: JobId) {
        wait_until(&format!("job {job} begins"), || !self.begun(job).is_empty());
    }

    /// The command `uncloud` on this database.
    pub(crate) fn uncloud(&self, args: &[&str]) -> Command {
        let mut command = Command::new(process::uncloud_program());
        process::bare(command.args(args)).env("DATABASE_URL", &self.addresses.database_url);
        command
    }

    /// Runs it; it must succeed. What it says, on stdout and in its log.
    #[track_caller]
    pub(crate) fn tell(&self, args: &[&str]) -> String {
        let output = process::output(&mut self.uncloud(args), "");
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text")).concat();
        assert!(output.status.success(), "{args:?}: {said}");
        said
    }

    pub(crate) fn redis(&self) -> redis::Connection {
        let client = redis::Client::open(self.addresses.redis_url.as_str()).expect("a URL");
        client.get_connection_with_timeout(Duration::from_secs(10)).expect("Redis")
    }

    /// The server itself.
    pub(crate) fn redis_process(&self) -> Pid {
        let info: String = redis::cmd("INFO").arg("server").query(&mut self.redis()).expect("about itself");
        let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")).expect("its process");
        Pid::from_raw(pid.trim().parse().expect("a number"))
    }

    /// Neither jobs nor reports are left in Redis.
    pub(crate) fn wait_until_redis_is_empty(&self) {
        let mut redis = self.redis();
        let keys = [queue_name().jobs_key(), queue_name().events_key()];
        wait_until("Redis holds no jobs and no events", || {
            keys.iter().all(|key| redis.xlen::<_, usize>(key).expect("length") == 0)
        });
    }
}

pub(crate) fn queue_name() -> QueueName {
    QUEUE.parse().expect("a queue")
}

/// A job that leaves nothing to chance: no wait before another attempt is longer than a moment.
pub(crate) fn with<'a>(act: &Act, queue: &'a QueueName, change: impl FnOnce(&mut NewJob<'a>)) -> NewJob<'a> {
    let policy = Policy { backoff_max: Duration::from_millis(50), max_failures: 3, ..Policy::DEFAULT };
    let mut job = NewJob::new(queue, act.kind(), serde_json::to_value(act).expect("JSON"), policy);
    change(&mut job);
    job
}

/// How long it takes until `done`; panics when that is longer than `limit`.
#[track_caller]
pub(crate) fn within(limit: Duration, what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        thread::sleep(Duration::from_millis(20));
    }
    started.elapsed()
}
