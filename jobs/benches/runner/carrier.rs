//! Redis and workers alone: the rate at which jobs are sent and consumed, with all safety measures.

use std::{
    thread,
    time::{Duration, Instant},
};

use apalis::prelude::{Task, TaskBuilder};
use futures_util::{SinkExt as _, stream};
use redis::Commands as _;
use tokio::sync::watch;
use uncloud_wire::stream::{Envelope, StreamBackend, StreamConfig};

use uncloud_testkit::runner::{Action, Stage, queue_name};

use crate::{
    cost::{cpu_seconds, peak_mb},
    report::Report,
};

pub(crate) fn sink(stage: &Stage) -> StreamBackend {
    StreamBackend::new(
        StreamConfig::new(stage.redis.client(), queue_name(), "bench".into(), 1),
        watch::channel(false).1,
    )
}

/// Returns a job with this action, as the relay sends it.
pub(crate) fn task(job_id: i64, action: &Action) -> Task<Envelope> {
    let envelope = Envelope {
        queue: queue_name(),
        job_id,
        fence: 1,
        kind: action.kind().to_owned(),
        payload: serde_json::to_vec(action).expect("JSON"),
        soft_limit: None,
        hard_limit: Some(Duration::from_hours(1)),
        request_id: None,
    };
    TaskBuilder::new(envelope).build()
}

fn fill(stage: &Stage, jobs: u32) -> f64 {
    let started = Instant::now();
    let mut sink = sink(stage);
    let tasks = (0..jobs).map(|job| Ok(task(job.into(), &Action::Nothing)));
    stage.runtime.block_on(sink.send_all(&mut stream::iter(tasks))).expect("pushed");
    f64::from(jobs) / started.elapsed().as_secs_f64()
}

fn one_by_one(stage: &Stage, jobs: u32) -> f64 {
    let mut sink = sink(stage);
    let started = Instant::now();
    stage.runtime.block_on(async {
        for job in 0..jobs {
            sink.send(task(job.into(), &Action::Nothing)).await.expect("pushed");
        }
    });
    f64::from(jobs) / started.elapsed().as_secs_f64()
}

pub(crate) fn forget(stage: &Stage) {
    let mut redis = stage.redis.connect();
    for key in [queue_name().jobs_key(), queue_name().events_key()] {
        let _: () = redis.del(key).expect("deleted");
    }
}

/// Returns jobs per second, microseconds of CPU per job, and peak memory in megabytes.
fn consume(stage: &Stage, jobs: u32, concurrency: usize) -> (f64, f64, f64) {
    forget(stage);
    fill(stage, jobs);
    let worker = stage.worker_with(concurrency);
    let mut redis = stage.redis.connect();
    let key = queue_name().jobs_key();
    let mut left = || u32::try_from(redis.xlen::<_, usize>(&key).expect("length")).expect("small");
    let mut first = None;
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let left = left();
        let (began, at_first, cpu) = *first.get_or_insert_with(|| (Instant::now(), left, cpu_seconds(worker.pid())));
        if left == jobs {
            first = None; // it has not started
        }
        if left == 0 {
            let done = f64::from(at_first);
            let rate = done / began.elapsed().as_secs_f64();
            let cpu = (cpu_seconds(worker.pid()) - cpu) / done * 1e6;
            return (rate, cpu, peak_mb(worker.pid()));
        }
        assert!(Instant::now() < deadline, "{left} of {jobs} are left");
        thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn measure(stage: &Stage, rpop: f64, report: &mut Report) {
    forget(stage);
    report.add("push_one_per_s", "push to Redis, one by one", one_by_one(stage, 20_000), "/s", "", "one connection");
    forget(stage);
    report.add("push_bulk_per_s", "push to Redis, in bulk", fill(stage, 100_000), "/s", "", "");
    for jobs in [20_000, 100_000] {
        for concurrency in [1, 10, 100] {
            let (rate, cpu, memory) = consume(stage, jobs, concurrency);
            let key = format!("{}k_c{concurrency}", jobs / 1000);
            let what = format!("consume {jobs} with acknowledgement, concurrency {concurrency}");
            let note = format!("{:.2} of RPOP -c 50", rate / rpop);
            let aim = if concurrency == 100 { ">= RPOP -c 50" } else { "" };
            report.add(&format!("consume_{key}_per_s"), &what, rate, "/s", aim, &note);
            report.add(&format!("consume_{key}_cpu_us"), "   CPU of the worker for each job", cpu, "us", "", "");
            report.add(
                &format!("consume_{key}_rss_mb"),
                "   memory of the worker, at most",
                memory,
                "MB",
                "<= 10 MB",
                "",
            );
        }
    }
    forget(stage);
}
