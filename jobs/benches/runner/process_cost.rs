//! What a worker costs before it has done anything, and what any process has cost so far.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use nix::unistd::Pid;
use redis::Commands as _;

use crate::{
    process::{Process, bare, worker_program},
    report::{Report, percentile},
    stage::Stage,
};

const STARTS: usize = 15;

/// Seconds of a processor's time, by proc(5).
pub(crate) fn cpu_secs(pid: Pid) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0 // USER_HZ is 100 on Linux
}

/// Resident memory in megabytes; what it is, or the most that it was.
pub(crate) fn memory_mb(pid: Pid, line: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let kilobytes = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    kilobytes.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<f64>().ok()).expect("a number") / 1024.0
}

/// The program itself, from nothing to being ready to read jobs.
pub(crate) fn measure(stage: &Stage, report: &mut Report) {
    let folder = tempfile::tempdir().expect("folder");
    let mut redis = stage.redis();
    let mut times = Vec::new();
    let (mut memory, mut idle_cpu) = (0.0, 0.0);
    for start in 0..STARTS {
        let queue = format!("start-{start}");
        let mut command = Command::new(worker_program());
        command.args(["-Q", &queue, "-b", &stage.addresses.redis_url, "--dry-run", "bench", "--state-dir"]);
        bare(command.arg(folder.path()));
        let started = Instant::now();
        let worker = Process::start("uncloud-worker", &mut command);
        let key = format!("uncloud:{{{queue}}}:jobs");
        while !redis.exists::<_, bool>(&key).expect("an answer") {
            assert!(started.elapsed() < Duration::from_secs(10), "it does not start");
            thread::sleep(Duration::from_micros(300));
        }
        times.push(started.elapsed().as_secs_f64());
        if start + 1 == STARTS {
            let before = cpu_secs(worker.pid());
            thread::sleep(Duration::from_secs(10));
            idle_cpu = (cpu_secs(worker.pid()) - before) / 10.0 * 1000.0;
            memory = memory_mb(worker.pid(), "VmRSS");
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
