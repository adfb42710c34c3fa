//! A shell at which a reader types.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

/// A command that takes longer hangs.
const LIMIT: Duration = Duration::from_mins(1);
/// Precedes a command's exit code in the output.
const END: &str = "uncloud-docs-test-command-ended";

/// A shell; it is killed when the value is dropped.
pub(crate) struct Session {
    shell: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

/// The end of a command.
pub(crate) struct Ended {
    /// Its stdout and stderr.
    pub(crate) printed: String,
    /// Its exit code, or why there is none.
    pub(crate) code: Result<i32, String>,
}

impl Session {
    /// Starts the shell that `command` is.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh");
        let (sender, lines) = channel();
        let output = BufReader::new(shell.stdout.take().expect("piped"));
        thread::spawn(move || {
            let lines = output.split(b'\n').map_while(Result::ok);
            let mut lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
            lines.try_for_each(|line| sender.send(line))
        });
        let input = shell.stdin.take().expect("piped");
        let mut session = Self { shell, input, lines };
        session.run("exec 2>&1");
        session
    }

    /// Runs a command in the shell itself, so that variables and functions stay.
    pub(crate) fn run(&mut self, command: &str) -> Ended {
        // What reads its standard input must not get the next command. The line before END ends one that has no end.
        let typed = format!("{{ {command}\n}} </dev/null\nprintf '\\n{END} %s\\n' $?\n");
        let typed = self.input.write_all(typed.as_bytes()).and_then(|()| self.input.flush());
        let mut printed = String::new();
        if let Err(error) = typed {
            return Ended { printed, code: Err(format!("the shell does not read: {error}")) };
        }
        let started = Instant::now();
        let code = loop {
            match self.lines.recv_timeout(LIMIT.saturating_sub(started.elapsed())) {
                Ok(line) => match line.strip_prefix(END) {
                    Some(code) => break code.trim().parse().map_err(|_| format!("no exit code: {line}")),
                    None => printed.extend([line.as_str(), "\n"]),
                },
                Err(RecvTimeoutError::Timeout) => break Err(format!("did not end within {LIMIT:?}")),
                Err(RecvTimeoutError::Disconnected) => break Err("the shell ended".to_owned()),
            }
        };
        Ended { printed, code }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
