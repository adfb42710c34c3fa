//! Stdout and stderr: the only way in which commands write, and the properties of the terminal.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use anyhow::Context as _;
use terminal_size::{Width, terminal_size_of};

use super::exit::{Exit, Failure};

/// Writes a part of a command's result to stdout. If the reader has gone, as in `uncloud job ls | head`, the command
/// ends silently: the result is not complete, so its exit code is not 0.
pub fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::silent(Exit::OutputClosed).into()),
        written => written.context("can't write the result to stdout"),
    }
}

/// Writes to stderr. The program continues if the reader of stderr has gone.
pub fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Returns whether stderr is a terminal on which a line can be written over.
pub fn can_overwrite() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|terminal| terminal != "dumb")
}

/// Returns the columns of the terminal behind stdout; none if stdout is not a terminal, so that lines can have any
/// length.
pub fn width() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    match terminal_size_of(&stdout) {
        Some((Width(columns), _)) if columns > 0 => Some(columns.into()),
        // A terminal that does not know its size, such as a serial console.
        _ => std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0),
    }
}
