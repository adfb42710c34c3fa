//! The programs under test, as processes.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::world::wait_until;

/// `uncloud-worker`, which cargo builds for these tests.
pub(crate) fn worker_program() -> PathBuf {
    env!("CARGO_BIN_EXE_uncloud-worker").into()
}

/// `uncloud`, which stands beside it. It belongs to another package, so cargo does not build it for these
/// tests alone: after a change, `cargo test -p uncloud-jobs` needs a `cargo build` before.
pub(crate) fn uncloud_program() -> PathBuf {
    let program = worker_program().with_file_name("uncloud");
    let built = program.is_file();
    assert!(built, "{} is missing: build it first with `cargo build` (plain `cargo test` does)", program.display());
    program
}

/// Nothing is inherited but the way to programs: what a test says is all that a program is told.
pub(crate) fn bare(command: &mut Command) -> &mut Command {
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

/// Lets a program take the time of day for another one, as in `+10m`. Time that passes is as it is. The package is faketime.
pub(crate) fn wrong_clock(command: &mut Command, by: &str) {
    let folders = fs::read_dir("/usr/lib").expect("readable").flatten().map(|entry| entry.path());
    let folders = folders.chain([PathBuf::from("/usr/lib")]);
    let found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists());
    let library = found.expect("libfaketimeMT.so.1: apt-get install faketime (`./dev install` does)");
    command.env("LD_PRELOAD", library).env("FAKETIME", by);
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
}

/// A process that is killed when the value goes. What it wrote is shown when that happens in a panic.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdout: File,
    stderr: File,
}

impl Process {
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let (stdout, stderr) = (tempfile::tempfile().expect("file"), tempfile::tempfile().expect("file"));
        let clone = |file: &File| Stdio::from(appending(file));
        let child = command.stdin(Stdio::null()).stdout(clone(&stdout)).stderr(clone(&stderr)).spawn();
        Self { name: name.to_owned(), child: child.unwrap_or_else(|error| panic!("{name}: {error}")), stdout, stderr }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a pid"))
    }

    /// What it wrote to stdout so far.
    pub(crate) fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it wrote to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Waits until it says something on stdout or stderr, and returns the line's rest.
    pub(crate) fn wait_for_line(&mut self, start: &str) -> String {
        let mut rest = None;
        wait_until(&format!("{} says {start:?}", self.name), || {
            let ended = self.child.try_wait().expect("child");
            let (stdout, stderr) = (self.stdout(), self.stderr());
            rest = stdout.lines().chain(stderr.lines()).find_map(|line| Some(line.split_once(start)?.1.to_owned()));
            assert!(rest.is_some() || ended.is_none(), "{} ended without saying {start:?}: {ended:?}", self.name);
            rest.is_some()
        });
        rest.expect("waited for")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap_or_else(|error| panic!("{} does not run: {error}", self.name));
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("child").is_some()
    }

    fn show(&self) {
        eprintln!("--- {} wrote:\n{}{}---", self.name, self.stdout(), self.stderr());
    }

    /// `kill -9`, and nothing else ended it before.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        let status = self.child.wait().expect("child");
        assert_eq!(status.signal(), Some(9), "{} had ended by itself: {status}", self.name);
        self.show(); // nobody else will, should the test fail later
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Waits for its end, which it was asked for.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_until(&format!("{} ends", self.name), || self.has_ended());
        self.child.wait().expect("child")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            self.show();
        }
    }
}

/// A file description of its own, so that reading here does not move where the process writes.
fn appending(file: &File) -> File {
    use std::os::fd::AsRawFd as _;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::options().append(true).open(path).expect("opened again")
}

fn read(mut file: &File) -> String {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("readable");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs a command to its end.
pub(crate) fn output(command: &mut Command, input: &str) -> Output {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A program that does not read its input says why on stderr.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("child")
}

/// Runs a command that must succeed, and returns what it printed.
pub(crate) fn succeed(command: &mut Command, input: &str) -> String {
    let output = output(command, input);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// Runs a command that must fail, and returns the one line that it may say about that.
pub(crate) fn fail(command: &mut Command) -> String {
    let output = output(command, "");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{command:?} succeeded");
    assert_eq!(stderr.trim_end().lines().count(), 1, "{command:?}: not one line: {stderr}");
    stderr
}
