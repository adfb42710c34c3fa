//! The complete path of a job: from a row in PostgreSQL through Redis and a worker, and back to the row.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nix::unistd::getpid;
use serde_json::json;
use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::watch;
use uncloud::queue::{self, NewJob, Policy, Runner};

use uncloud_testkit::runner::{Kinds, QUEUE, Stage, queue_name};

use super::peers;
use crate::{
    cost::{cpu_seconds, memory_mb},
    report::{Report, percentile},
};

/// Number of concurrent requests.
const CLIENTS: usize = 16;
const SINGLE: usize = 20_000;
const BULK: usize = 100_000;
/// Number of jobs in one transaction.
const TOGETHER: usize = 1000;

/// The server's part, as in `uncloud serve`.
struct Server<'a> {
    stage: &'a Stage,
    runner: Runner,
    _stop: watch::Sender<bool>,
}

impl<'a> Server<'a> {
    fn start(stage: &'a Stage) -> Self {
        let _runtime = stage.runtime.enter();
        let pool = PgPoolOptions::new().max_connections(24).connect_lazy(&stage.addresses.database_url).expect("a URL");
        let runner = Runner {
            pool,
            redis: stage.redis.client(),
            kinds: Arc::new(Kinds),
            wake: Arc::default(),
            metrics: Arc::default(),
        };
        let (stop, stopped) = watch::channel(false);
        let mut tasks = uncloud::queue::start(&runner, &stopped);
        tokio::spawn(async move { while tasks.join_next().await.is_some() {} });
        Self { stage, runner, _stop: stop }
    }

    /// Creates one job in a separate transaction and wakes the relay, as a request does.
    async fn enqueue(runner: &Runner) -> i64 {
        let queue = queue_name();
        let job = NewJob::new(&queue, "nothing", json!({ "kind": "nothing" }), Policy::DEFAULT);
        let mut tx = uncloud::request_context::begin(&runner.pool).await.expect("PostgreSQL");
        let job_id = queue::enqueue(&mut tx, &job).await.expect("enqueued");
        tx.commit().await.expect("committed");
        runner.wake.queued();
        job_id
    }

    fn enqueue_single(&self, jobs: usize) {
        self.stage.runtime.block_on(async {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let runner = self.runner.clone();
                    tokio::spawn(async move {
                        for _ in 0..jobs / CLIENTS {
                            Self::enqueue(&runner).await;
                        }
                    })
                })
                .collect();
            for client in clients {
                client.await.expect("no panic");
            }
        });
    }

    fn enqueue_bulk(&self, jobs: usize) {
        let payloads = vec![json!({ "kind": "nothing" }); TOGETHER];
        self.stage.runtime.block_on(async {
            for _ in 0..jobs / TOGETHER {
                let mut tx = uncloud::request_context::begin(&self.runner.pool).await.expect("PostgreSQL");
                let enqueued = queue::enqueue_all(&mut tx, &queue_name(), "nothing", &Policy::DEFAULT, &payloads).await;
                enqueued.expect("enqueued");
                tx.commit().await.expect("committed");
                self.runner.wake.queued();
            }
        });
    }

    /// Checks every 10 ms, using the indexes of unfinished jobs: reading all rows would cost more than the jobs.
    fn wait_until_done(&self) {
        let options: PgConnectOptions = self.stage.addresses.database_url.parse().expect("a URL");
        let options = options.options([("enable_seqscan", "off")]);
        self.stage.runtime.block_on(async {
            let mut watch = options.connect().await.expect("PostgreSQL");
            let deadline = Instant::now() + Duration::from_mins(10);
            loop {
                let sql = "select exists (select from job where state = 'queued' and waits_for = 0)
                               or exists (select from job where state in ('dispatched', 'running'))";
                let more: bool = sqlx::query_scalar(sql).fetch_one(&mut watch).await.expect("a result");
                if !more {
                    return;
                }
                assert!(Instant::now() < deadline, "the jobs do not finish");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }

    fn latency(&self, samples: usize) -> Vec<f64> {
        let sample = async || {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let job = Self::enqueue(&self.runner).await;
            let committed = Instant::now();
            let wait = Duration::from_secs(10);
            let seen = queue::wait_until_finished(&self.runner.pool, &self.runner.wake, job, None, wait).await;
            assert!(seen.expect("PostgreSQL").expect("the job").state.is_final());
            committed.elapsed().as_secs_f64() * 1000.0
        };
        self.stage.runtime.block_on(async {
            let mut times = Vec::new();
            for _ in 0..samples {
                times.push(sample().await);
            }
            times
        })
    }
}

fn rate(jobs: usize, work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    f64::from(u32::try_from(jobs).expect("small")) / started.elapsed().as_secs_f64()
}

fn redis_kilobytes(stage: &Stage) -> f64 {
    let info: String = redis::cmd("INFO").arg("memory").query(&mut stage.redis.connect()).expect("about itself");
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("a line");
    used.trim().parse::<f64>().expect("a number") / 1024.0
}

pub(crate) fn measure(stage: &Stage, million: bool, report: &mut Report) {
    let peer = peers::postgres(stage, CLIENTS, report);
    let server = Server::start(stage);
    let times = {
        let _worker = stage.worker();
        server.latency(50);
        server.latency(500)
    };
    let note = "n = 500, one at a time, nothing else to do";
    report.add("done_p50_ms", "commit -> done, p50", percentile(&times, 50), "ms", "<= 4 ms", note);
    report.add("done_p99_ms", "commit -> done, p99", percentile(&times, 99), "ms", "", "");

    stage.run_uncloud(&["queue", "pause", QUEUE]);
    let single = rate(SINGLE, || server.enqueue_single(SINGLE));
    let note = format!("{:.2} of pgbench, {CLIENTS} clients", single / peer);
    report.add("enqueue_single_per_s", "enqueue, a transaction each", single, "/s", "", &note);
    let bulk = rate(BULK, || server.enqueue_bulk(BULK));
    report.add("enqueue_bulk_per_s", "enqueue in bulk", bulk, "/s", "", "1000 in a transaction");
    stage.run_uncloud(&["jobs", "purge", QUEUE]);
    stage.run_uncloud(&["queue", "resume", QUEUE]);

    for concurrency in [1, 10, 100] {
        backlog(&server, concurrency, report);
    }
    let worker = stage.worker_with(100);
    thread::sleep(Duration::from_secs(1)); // its slots are known
    let before = redis_kilobytes(stage);
    let single = rate(SINGLE, || {
        server.enqueue_single(SINGLE);
        server.wait_until_done();
    });
    report.add("end_to_end_single_per_s", "enqueued one by one, until all are done", single, "/s", ">= 6500/s", "");
    let bulk = rate(BULK, || {
        server.enqueue_bulk(BULK);
        server.wait_until_done();
    });
    report.add("end_to_end_bulk_per_s", "enqueued in bulk, until all are done", bulk, "/s", ">= 30000/s", "");
    if million {
        let rate = rate(1_000_000, || {
            for _ in 0..10 {
                server.enqueue_bulk(BULK);
                server.wait_until_done();
            }
        });
        report.add("million_per_s", "a million jobs in bulk, until all are done", rate, "/s", "", "");
    }
    stage.wait_until_redis_is_empty();
    report.add("redis_before_kb", "Redis: memory before those jobs", before, "KB", "", "");
    report.add("redis_after_kb", "Redis: memory after them", redis_kilobytes(stage), "KB", "as before", "");
    report.add("worker_rss_mb", "worker: memory after them", memory_mb(worker.pid()), "MB", "<= 10 MB", "100 slots");
}

/// Measures the rate at which a backlog is processed.
fn backlog(server: &Server<'_>, concurrency: usize, report: &mut Report) {
    let stage = server.stage;
    stage.run_uncloud(&["queue", "pause", QUEUE]);
    server.enqueue_bulk(SINGLE);
    let worker = stage.worker_with(concurrency);
    thread::sleep(Duration::from_secs(1)); // its slots are known
    let cpu = || [worker.pid(), getpid()].map(cpu_seconds);
    let before = cpu();
    let rate = rate(SINGLE, || {
        stage.run_uncloud(&["queue", "resume", QUEUE]);
        server.wait_until_done();
    });
    let each = |n: usize| (cpu()[n] - before[n]) / f64::from(u32::try_from(SINGLE).expect("small")) * 1e6;
    let note = format!("CPU for each: worker {:.0} us, server {:.0} us", each(0), each(1));
    let what = format!("a backlog of {SINGLE} with PostgreSQL, concurrency {concurrency}");
    report.add(&format!("backlog_c{concurrency}_per_s"), &what, rate, "/s", "", &note);
}
