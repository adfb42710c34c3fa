//! A server that does not outlive the test program.
//!
//! A test program may be killed at any moment (Ctrl-C, a timeout, SIGKILL), and statics are never dropped. So a small
//! shell stands between it and the server, holding the reading end of a pipe whose writing end only the test program
//! has: when the kernel closes that, for whatever reason, the shell ends the server and removes the folder. (`setpriv
//! --pdeathsig` would not do: it fires when the *thread* that started the server ends, and each test has a thread of
//! its own.)

use std::{
    ffi::OsString,
    fs,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::folder::ServerFolder;

/// $1: folder, removed in the end unless the pipe says "keep"; $2: signal that ends the server; then the server's command.
const WATCHDOG: &str = r#"
folder=$1 signal=$2; shift 2
exec 3<&0 </dev/null
"$@" 3<&- & server=$!
{ read -r word <&3; [ "$word" != keep ] || : >"$folder/keep"; kill -s "$signal" "$server"; } & watch=$!
exec 3<&-
wait "$server"
kill "$watch" 2>/dev/null
rm "$folder/keep" 2>/dev/null || rm -rf "$folder"
"#;

/// The time that a server may take to start: seconds on a small machine under load.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A server and the shell that ends it.
#[derive(Debug)]
pub(super) struct Watched {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Watched {
    /// Starts a program in a folder and waits until `is_ready`; `signal` is the one that ends it.
    pub(super) fn start(
        folder: &ServerFolder,
        signal: &str,
        program: &Path,
        args: &[OsString],
        is_ready: impl Fn() -> bool,
    ) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WATCHDOG, "sh"]).arg(&folder.path).arg(signal).arg(program).args(args);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir("/");
        // Not in our process group: Ctrl-C would end the shell before it has cleaned up.
        command.stdin(Stdio::piped()).process_group(0);
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.log()).expect("a log");
        command.stderr(log.try_clone().expect("a handle")).stdout(log);
        if let Some(account) = &folder.account {
            command.uid(account.uid).gid(account.gid);
        }
        let mut shell = command.spawn().expect("/bin/sh");
        let pipe = shell.stdin.take();
        let mut watched = Self { shell, pipe };
        let deadline = Instant::now() + START_LIMIT;
        while !is_ready() {
            // The folder goes with the shell, so the log is read first.
            let log = fs::read_to_string(folder.log()).unwrap_or_default();
            let ended = watched.shell.try_wait().expect("child").is_some();
            assert!(!ended && Instant::now() < deadline, "{} does not start:\n{log}", program.display());
            thread::sleep(Duration::from_millis(10));
        }
        watched
    }

    /// Ends the server but keeps its folder.
    pub(super) fn stop_and_keep_folder(mut self) {
        self.pipe.as_mut().expect("it runs").write_all(b"keep\n").expect("the shell reads");
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.shell.wait();
    }
}
