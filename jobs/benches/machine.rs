//! Figures of the machine itself, which every other figure depends on.

use std::{fs, thread};

use crate::report::Report;

/// Adds the number of cores.
pub(crate) fn add_cores(report: &mut Report) {
    let cores = u32::try_from(thread::available_parallelism().map_or(0, usize::from)).unwrap_or_default();
    report.add("cores", "machine: cores", f64::from(cores), "", "", "");
}

/// Adds the load average of the kernel: other programs on this machine disturb every other figure.
pub(crate) fn add_load(report: &mut Report, when: &str) {
    let text = fs::read_to_string("/proc/loadavg").expect("proc");
    let load = text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
    let note = "the bench's own work included; one minute's mean";
    report.add(&format!("load_{when}"), &format!("machine: load {when}"), load, "", "", note);
}
