//! Stdout and stderr: the one way in which commands write, and what the terminal behind them can show.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use anyhow::Context as _;
use terminal_size::{Width, terminal_size_of};

use super::exit::{Exit, Failure};

/// Writes a part of a command's result to stdout. A reader that has gone, as in `uncloud job ls | head`, ends the command
/// without a word: the result is not complete, so that its exit code is not 0.
pub fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::silent(Exit::OutputClosed).into()),
        written => written.context("can't write the result to stdout"),
    }
}

/// Writes to stderr. A reader of stderr that has gone is no reason to stop.
pub fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// The columns of the terminal behind stdout; none when stdout is not a terminal, whose lines have any length.
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
