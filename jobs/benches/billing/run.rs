//! One `uncloud bill run` as a process.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::unistd::Pid;
use uncloud_testkit::programs;

use crate::cost::status_mb;

/// Cost of a run.
pub(crate) struct Took {
    pub secs: f64,
    pub peak_mb: f64,
}

/// Runs it to its end, from outside, as an operator would.
pub(crate) fn bill_run(database_url: &str, as_of: &str) -> Took {
    let started = Instant::now();
    let mut child = Command::new(programs::uncloud())
        .args(["bill", "run", "--as-of", as_of])
        .env_clear()
        .env("DATABASE_URL", database_url)
        .env("RUST_LOG", "warn")
        .stdout(Stdio::null())
        .spawn()
        .expect("uncloud starts");
    let pid = Pid::from_raw(child.id().try_into().expect("a pid"));
    let mut peak_mb = 0.0_f64;
    let exit = loop {
        peak_mb = peak_mb.max(status_mb(pid, "VmHWM").unwrap_or_default());
        match child.try_wait().expect("a child") {
            Some(exit) => break exit,
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    assert!(exit.success(), "uncloud bill run: {exit}");
    Took { secs: started.elapsed().as_secs_f64(), peak_mb }
}
