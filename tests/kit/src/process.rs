//! The programs under test as processes.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    os::{fd::AsRawFd as _, unix::process::ExitStatusExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::wait::wait_until;

/// A running program. It is killed when the value is dropped; if that happens in a panic, its output is shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: File,
    stderr: File,
}

impl Process {
    /// Starts a command; `name` is for messages.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let (stdout, stderr) = (tempfile::tempfile().expect("file"), tempfile::tempfile().expect("file"));
        let clone = |file: &File| Stdio::from(appending(file));
        let child = command.stdin(Stdio::null()).stdout(clone(&stdout)).stderr(clone(&stderr)).spawn();
        Self { name: name.to_owned(), child: child.unwrap_or_else(|error| panic!("{name}: {error}")), stdout, stderr }
    }

    /// Returns its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a pid"))
    }

    /// Returns what it has written to stdout so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// Returns what it has written to stderr so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Waits for a line with `text` on stdout or stderr, and returns the rest of that line.
    #[track_caller]
    pub fn wait_for_line(&mut self, text: &str) -> String {
        let mut rest = None;
        wait_until(&format!("{} writes {text:?}", self.name), || {
            let ended = self.child.try_wait().expect("child");
            let (stdout, stderr) = (self.stdout(), self.stderr());
            rest = stdout.lines().chain(stderr.lines()).find_map(|line| Some(line.split_once(text)?.1.to_owned()));
            assert!(rest.is_some() || ended.is_none(), "{} ended without writing {text:?}: {ended:?}", self.name);
            rest.is_some()
        });
        rest.expect("waited for")
    }

    /// Sends a signal; panics if the process has been waited for.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap_or_else(|error| panic!("{} does not run: {error}", self.name));
    }

    /// Returns whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("child").is_some()
    }

    fn show(&self) {
        eprintln!("--- {} wrote:\n{}{}---", self.name, self.stdout(), self.stderr());
    }

    /// Kills it with SIGKILL; panics if it had ended before.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        let status = self.child.wait().expect("child");
        assert_eq!(status.signal(), Some(9), "{} had ended by itself: {status}", self.name);
        self.show(); // the last chance to see it, should the test fail later
    }

    /// Kills it with SIGKILL, without a look at how it ended and without showing its output.
    pub fn kill_quietly(self) {
        self.signal(Signal::SIGKILL);
    }

    /// Sends SIGTERM, and waits for its end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
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

/// Opens a file once more, with an offset of its own: reading here must not move where the process writes.
fn appending(file: &File) -> File {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::options().append(true).open(path).expect("opened again")
}

fn read(mut file: &File) -> String {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("readable");
    String::from_utf8_lossy(&bytes).into_owned()
}
