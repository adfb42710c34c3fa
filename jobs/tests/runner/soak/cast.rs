//! Two servers, two workers, PostgreSQL and Redis, and how each of them is hurt.

use std::{
    collections::BTreeSet,
    os::unix::process::ExitStatusExt as _,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use redis::Commands as _;
use sqlx::{Connection as _, PgConnection};
use uncloud::embedded::throwaway::ThrowawayPostgres;
use uncloud_wire::JobId;

use super::plan::Fault;
use crate::{
    actor::Act,
    process::{Process, output, wrong_clock},
    stage::{ARGUMENTS, QUEUE, Stage, queue_name},
    world::wait_until,
};

pub(super) const SERVERS: usize = 2;
pub(super) const WORKERS: usize = 2;
/// Jobs at the same time on each worker.
const SLOTS: usize = 6;

/// Everything that runs.
pub(super) struct Cast {
    pub(super) stage: Stage,
    servers: Vec<Process>,
    workers: Vec<Process>,
    /// Revoked by staff, or made to end their workers.
    pub(super) special: Mutex<BTreeSet<JobId>>,
    /// Workers that died of such a job.
    pub(super) deaths: usize,
    /// The last, as it outlives all who use it.
    _postgres: ThrowawayPostgres,
}

impl Cast {
    pub(super) fn start() -> Self {
        let postgres = ThrowawayPostgres::start().expect("PostgreSQL");
        let url = postgres.url("uncloud").expose().clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&url).await.expect("PostgreSQL");
            // A throwaway server may forget the last commits in a crash; here it crashes, and must not.
            let durable = sqlx::query("alter database uncloud set synchronous_commit = on");
            durable.execute(&mut connection).await.expect("durable");
        });
        let stage = Stage::on(url);
        // So that a customer who got no answer finds out whether there is a job, and does not ask for a second one.
        stage.execute("create unique index job_token on job ((payload ->> 'token'))");
        let servers = (0..SERVERS).map(|_| stage.server()).collect();
        let workers = (0..WORKERS).map(|_| stage.worker_with(SLOTS)).collect();
        Self { stage, servers, workers, special: Mutex::default(), deaths: 0, _postgres: postgres }
    }

    /// Starts those workers again that died of a job, as systemd does. Nobody else may have died.
    pub(super) fn tend(&mut self) {
        for worker in &mut self.workers {
            if worker.has_ended() {
                let status = worker.wait();
                assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "a worker ended by itself: {status}");
                self.deaths += 1;
                *worker = self.stage.worker_with(SLOTS);
            }
        }
        assert!(self.servers.iter_mut().all(|server| !server.has_ended()), "a server ended by itself");
    }

    pub(super) fn sleep(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.tend();
            thread::sleep(Duration::from_millis(20).min(end.saturating_duration_since(Instant::now())));
        }
    }

    pub(super) fn inflict(&mut self, fault: Fault) {
        match fault {
            Fault::KillWorker(n) => {
                self.workers[n].signal(Signal::SIGKILL);
                self.workers[n] = self.stage.worker_with(SLOTS);
            }
            Fault::StopWorkerWarm(n) => self.stop_worker(n, 1),
            Fault::StopWorkerCold(n) => self.stop_worker(n, 2),
            Fault::FreezeWorker(n) => {
                self.workers[n].signal(Signal::SIGSTOP);
                self.sleep(Duration::from_secs(7)); // a lease is 6 s
                self.workers[n].signal(Signal::SIGCONT);
            }
            Fault::WrongClock(n) => {
                let mut command = self.stage.addresses.worker(&ARGUMENTS, QUEUE, SLOTS);
                wrong_clock(&mut command, ["+10m", "-10m"][n]);
                let mut worker = Process::start("worker", &mut command);
                worker.wait_for_line("working");
                self.workers[n] = worker;
            }
            Fault::KillServer(n) => {
                self.servers[n].signal(Signal::SIGKILL);
                self.servers[n] = self.stage.server();
            }
            Fault::EmptyRedis => redis::cmd("FLUSHALL").exec(&mut self.stage.redis()).expect("emptied"),
            Fault::StopRedis(pause) => {
                self.stage.redis.stop();
                self.sleep(pause);
                self.stage.redis.resume().expect("Redis");
            }
            Fault::FreezeRedis(pause) => {
                let redis = self.stage.redis_process();
                kill(redis, Signal::SIGSTOP).expect("it runs");
                self.sleep(pause);
                kill(redis, Signal::SIGCONT).expect("it stands");
            }
            Fault::CrashPostgres => self.crash_postgres(),
            Fault::CutPostgres => {
                let mut connection = self.connect();
                let all = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()
                           and backend_type = 'client backend'";
                self.stage.runtime.block_on(sqlx::query(all).execute(&mut connection)).expect("cut");
            }
            Fault::Nonsense => {
                let fields = [("nonsense", "\u{fffd}")];
                let _: String = self.stage.redis().xadd(queue_name().jobs_key(), "*", &fields).expect("added");
            }
            Fault::Abort => {
                let job = self.stage.enqueue(&Act::Abort);
                self.special.lock().expect("no panic").insert(job);
            }
            Fault::Pause(pause) => {
                self.stage.tell(&["queue", "pause", QUEUE]);
                self.sleep(pause);
                self.stage.tell(&["queue", "resume", QUEUE]);
            }
            Fault::Revoke(n) => self.revoke(n),
            Fault::Scale(slots) => self.scale(slots),
        }
    }

    /// Warm with one signal; at once with two.
    fn stop_worker(&mut self, n: usize, signals: usize) {
        for _ in 0..signals {
            self.workers[n].signal(Signal::SIGTERM);
            thread::sleep(Duration::from_millis(20));
        }
        let mut next = self.stage.worker_with(SLOTS);
        std::mem::swap(&mut self.workers[n], &mut next);
        let status = next.wait();
        // A job may have ended it first, and it may have been done before the second signal.
        let aborted = status.signal() == Some(Signal::SIGABRT as i32);
        assert!(status.success() || aborted || (signals == 2 && !status.success()), "{status}");
    }

    /// One of the jobs that have not ended; which one, the number says.
    fn revoke(&self, n: usize) {
        let sql = "select job_id from job where state in ('queued', 'dispatched', 'running') order by job_id";
        let jobs = self.stage.rows::<(JobId,)>(sql);
        let Some((job,)) = jobs.get(n % jobs.len().max(1)) else { return };
        self.special.lock().expect("no panic").insert(*job);
        let told = output(&mut self.stage.uncloud(&["jobs", "revoke", &job.to_string()]), "");
        let said = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(told.status.success() || said.contains("has ended already"), "{said}");
    }

    fn scale(&self, slots: usize) {
        let live = "select worker_id from worker where not stopped order by last_seen_at desc limit 1";
        if let Some((worker,)) = self.stage.rows::<(i64,)>(live).first() {
            let args = ["worker", "scale", &worker.to_string(), &slots.to_string()];
            let told = output(&mut self.stage.uncloud(&args), "");
            assert!(told.status.success() || String::from_utf8_lossy(&told.stderr).contains("no running worker"));
        }
    }

    /// A session of its own, as others are cut.
    fn connect(&self) -> PgConnection {
        let mut connection = None;
        wait_until("PostgreSQL is back", || {
            connection = self.stage.runtime.block_on(PgConnection::connect(&self.stage.addresses.database_url)).ok();
            connection.is_some()
        });
        connection.expect("waited for")
    }

    fn crash_postgres(&self) {
        let mut connection = self.connect();
        let own = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut connection);
        let pid: i32 = self.stage.runtime.block_on(own).expect("a process");
        // A session that is opened before the server has noticed is cut like this one.
        let mut witness = self.connect();
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
        wait_until("PostgreSQL has noticed", || {
            self.stage.runtime.block_on(sqlx::query("select").execute(&mut witness)).is_err()
        });
        drop(self.connect()); // so that it is over when this returns
    }
}
