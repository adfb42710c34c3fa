//! Two servers, two workers, PostgreSQL and Redis, and how each of them is hurt.

use std::{
    collections::BTreeSet,
    os::unix::process::ExitStatusExt as _,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::{Signal, kill};
use redis::Commands as _;
use uncloud_wire::JobId;

use super::plan::{Fault, SERVERS, WORKERS};
use crate::{
    command::{output, shift_clock},
    process::Process,
    runner::{Action, QUEUE, Stage, queue_name},
    servers::PostgresServer,
};

/// Jobs at the same time on each worker.
const SLOTS: usize = 6;

/// Everything that runs.
pub(super) struct Cluster {
    pub(super) stage: Stage,
    servers: Vec<Process>,
    workers: Vec<Process>,
    /// Jobs that staff revoked, or that were made to end their workers.
    pub(super) special: Mutex<BTreeSet<JobId>>,
    /// Workers that died of such a job.
    pub(super) deaths: usize,
    /// The last field, as it outlives all who use it.
    postgres: PostgresServer,
}

impl Cluster {
    pub(super) fn start() -> Self {
        let postgres = PostgresServer::start_crash_safe();
        let stage = Stage::on(postgres.url("uncloud").expose().clone());
        // So that a customer who got no response finds out whether there is a job, and does not ask for a second one.
        stage.execute("create unique index job_token on job ((payload ->> 'token'))");
        let servers = (0..SERVERS).map(|_| stage.server()).collect();
        let workers = (0..WORKERS).map(|_| stage.worker_with(SLOTS)).collect();
        Self { stage, servers, workers, special: Mutex::default(), deaths: 0, postgres }
    }

    /// Starts those workers again that died of a job, as systemd does. No other process may have died.
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
                let mut command = self.stage.addresses.worker(QUEUE, SLOTS);
                shift_clock(&mut command, ["+10m", "-10m"][n]);
                self.workers[n] = self.stage.start_worker(&mut command);
            }
            Fault::KillServer(n) => {
                self.servers[n].signal(Signal::SIGKILL);
                self.servers[n] = self.stage.server();
            }
            Fault::EmptyRedis => self.stage.redis.flush(),
            Fault::StopRedis(pause) => {
                self.stage.redis.stop();
                self.sleep(pause);
                self.stage.redis.resume();
            }
            Fault::FreezeRedis(pause) => {
                let redis = self.stage.redis.pid();
                kill(redis, Signal::SIGSTOP).expect("it runs");
                self.sleep(pause);
                kill(redis, Signal::SIGCONT).expect("it stands");
            }
            Fault::CrashPostgres => self.stage.runtime.block_on(self.postgres.crash()),
            Fault::CutPostgres => {
                let mut connection = self.stage.runtime.block_on(self.postgres.session("postgres"));
                let all = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()
                           and backend_type = 'client backend'";
                self.stage.runtime.block_on(sqlx::query(all).execute(&mut connection)).expect("cut");
            }
            Fault::Nonsense => {
                let fields = [("nonsense", "\u{fffd}")];
                let _: String = self.stage.redis.connect().xadd(queue_name().jobs_key(), "*", &fields).expect("added");
            }
            Fault::Abort => {
                let job = self.stage.enqueue(&Action::Abort);
                self.special.lock().expect("no panic").insert(job);
            }
            Fault::Pause(pause) => {
                self.stage.run_uncloud(&["queue", "pause", QUEUE]);
                self.sleep(pause);
                self.stage.run_uncloud(&["queue", "resume", QUEUE]);
            }
            Fault::Revoke(n) => self.revoke(n),
            Fault::Scale(slots) => self.scale(slots),
        }
    }

    /// Stops a worker: warm with one signal, at once with two.
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

    /// Revokes one of the jobs that have not ended; the number chooses which one.
    fn revoke(&self, n: usize) {
        let sql = "select job_id from job where state in ('queued', 'dispatched', 'running') order by job_id";
        let jobs = self.stage.rows::<(JobId,)>(sql);
        let Some((job,)) = jobs.get(n % jobs.len().max(1)) else { return };
        self.special.lock().expect("no panic").insert(*job);
        let ran = output(&mut self.stage.uncloud(&["job", "revoke", &job.to_string()]), "");
        let log = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success() || log.contains("has already ended"), "{log}");
    }

    fn scale(&self, slots: usize) {
        let live = "select worker_id from worker where not stopped order by last_seen_at desc limit 1";
        if let Some((worker,)) = self.stage.rows::<(i64,)>(live).first() {
            let args = ["worker", "scale", &worker.to_string(), &slots.to_string()];
            let ran = output(&mut self.stage.uncloud(&args), "");
            assert!(ran.status.success() || String::from_utf8_lossy(&ran.stderr).contains("running worker"));
        }
    }
}
