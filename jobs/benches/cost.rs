//! Memory and processor time of a process, by proc(5).

use std::fs;

use nix::unistd::Pid;

/// Returns the seconds of processor time that a process has used.
pub(crate) fn cpu_seconds(pid: Pid) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0 // USER_HZ is 100 on Linux
}

/// Returns the resident memory of a process in megabytes.
pub(crate) fn memory_mb(pid: Pid) -> f64 {
    status_mb(pid, "VmRSS").expect("it runs")
}

/// Returns the largest resident memory that a process had, in megabytes, since its start or [`forget_peak`].
pub(crate) fn peak_mb(pid: Pid) -> f64 {
    status_mb(pid, "VmHWM").expect("it runs")
}

/// Returns a figure of a process' status in megabytes; `None` when the process has ended.
pub(crate) fn status_mb(pid: Pid, name: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(kilobytes.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
}

/// Resets the kernel's peak memory of a process.
pub(crate) fn forget_peak(pid: Pid) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("root is allowed to reset it");
}
