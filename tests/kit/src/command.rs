//! Programs that run to their end, and the environment that they get.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

/// Clears a command's environment but for `PATH`, so that it knows only what the test tells it.
pub fn clear_env(command: &mut Command) -> &mut Command {
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

/// Shifts the time of day for a command, `by` an offset such as `+10m`; elapsed time stays right. Needs faketime.
pub fn shift_clock(command: &mut Command, by: &str) {
    let folders = fs::read_dir("/usr/lib").expect("readable").flatten().map(|entry| entry.path());
    let folders = folders.chain([PathBuf::from("/usr/lib")]);
    let found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists());
    let library = found.expect("libfaketimeMT.so.1: apt-get install faketime (`./dev install` does)");
    command.env("LD_PRELOAD", library).env("FAKETIME", by);
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
}

/// Runs a command to its end with `input` on its standard input.
pub fn output(command: &mut Command, input: &str) -> Output {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A program that ends without reading its input says why on stderr.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("child")
}

/// Runs a command that must succeed, and returns what it printed.
#[track_caller]
pub fn succeed(command: &mut Command, input: &str) -> String {
    let output = output(command, input);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}

/// Runs a command that must fail, and returns its error message, which must be one line.
#[track_caller]
pub fn fail(command: &mut Command) -> String {
    let output = output(command, "");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{command:?} succeeded");
    assert_eq!(stderr.trim_end().lines().count(), 1, "{command:?}: not one line: {stderr}");
    stderr
}
