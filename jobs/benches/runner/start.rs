//! The cost of a worker before it runs any job.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use redis::Commands as _;
use uncloud_testkit::{command::clear_env, process::Process, programs, runner::Stage};

use crate::{
    cost::{cpu_seconds, memory_mb},
    report::{Report, percentile},
};

const STARTS: usize = 15;

/// Measures the program itself, from its start until it is ready to read jobs.
pub(crate) fn measure(stage: &Stage, report: &mut Report) {
    let folder = tempfile::tempdir().expect("folder");
    let mut redis = stage.redis.connect();
    let mut times = Vec::new();
    let (mut memory, mut idle_cpu) = (0.0, 0.0);
    for start in 0..STARTS {
        let queue = format!("start-{start}");
        let mut command = Command::new(programs::uncloud_worker());
        command.args(["-Q", &queue, "-b", &stage.addresses.redis_url, "--dry-run", "bench", "--state-dir"]);
        clear_env(command.arg(folder.path()));
        let started = Instant::now();
        let worker = Process::start("uncloud-worker", &mut command);
        let key = format!("uncloud:{{{queue}}}:jobs");
        while !redis.exists::<_, bool>(&key).expect("a reply") {
            assert!(started.elapsed() < Duration::from_secs(10), "the worker does not start");
            thread::sleep(Duration::from_micros(300));
        }
        times.push(started.elapsed().as_secs_f64());
        if start + 1 == STARTS {
            let before = cpu_seconds(worker.pid());
            thread::sleep(Duration::from_secs(10));
            idle_cpu = (cpu_seconds(worker.pid()) - before) / 10.0 * 1000.0;
            memory = memory_mb(worker.pid());
        }
    }
    report.add(
        "start_s",
        "uncloud-worker: start until it reads (median)",
        percentile(&times, 50),
        "s",
        "<= 0.05 s",
        "",
    );
    report.add("idle_rss_mb", "uncloud-worker: memory, idle", memory, "MB", "<= 10 MB", "4 slots");
    report.add("idle_cpu_ms_per_s", "uncloud-worker: CPU, idle", idle_cpu, "ms/s", "", "over 10 s");
}
