//! One `uncloud bill run` as a process.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What it took.
pub(crate) struct Took {
    pub secs: f64,
    pub peak_mb: f64,
}

/// The program beside this one.
fn program() -> PathBuf {
    let bench = std::env::current_exe().expect("a path");
    let folder = bench.ancestors().nth(2).expect("target/release/deps/bench");
    folder.join("uncloud")
}

/// Runs it to its end; from outside, as an operator would.
pub(crate) fn bill_run(database_url: &str, as_of: &str) -> Took {
    let started = Instant::now();
    let mut child = Command::new(program())
        .args(["bill", "run", "--as-of", as_of])
        .env_clear()
        .env("DATABASE_URL", database_url)
        .env("RUST_LOG", "warn")
        .stdout(Stdio::null())
        .spawn()
        .expect("uncloud starts");
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak_kb = 0;
    let exit = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok());
        peak_kb = peak_kb.max(kb.unwrap_or_default());
        match child.try_wait().expect("a child") {
            Some(exit) => break exit,
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    assert!(exit.success(), "uncloud bill run: {exit}");
    Took { secs: started.elapsed().as_secs_f64(), peak_mb: f64::from(peak_kb) / 1024.0 }
}
