//! Logs: messages on stderr or in a file, as text for people or as JSON for programs.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Mutex,
};

use anstream::{AutoStream, ColorChoice, stream::RawStream};
use anyhow::Context as _;
use clap::{Args, ValueHint};
use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, writer::BoxMakeWriter},
};

/// The format of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// The least important messages that are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Level {
    /// Failures that need attention.
    Error,
    /// Also possible problems.
    Warn,
    /// Also normal events.
    Info,
    /// Also details of these events.
    Debug,
    /// Every step.
    Trace,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The destination of a worker's log.
#[derive(Debug, Args)]
pub struct LogFileArgs {
    /// File that the log is appended to, instead of stderr; created for its user and group. Rotate it by copying and
    /// truncating.
    #[arg(short = 'f', long, global = true, env = "UNCLOUD_LOG_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    logfile: Option<PathBuf>,
    /// Least important messages to log; RUST_LOG selects them in more detail where this is omitted [default: info].
    #[arg(
        short = 'l',
        long,
        visible_alias = "log-level",
        global = true,
        ignore_case = true,
        env = "UNCLOUD_LOG_LEVEL",
        value_name = "LEVEL"
    )]
    loglevel: Option<Level>,
}

/// Starts a log on stderr. Call it once, before all else. Without a level, `RUST_LOG` selects the messages.
pub fn init(format: Format, level: Option<Level>) {
    start(format, level, BoxMakeWriter::new(std::io::stderr), colour(&std::io::stderr()));
}

/// Starts a log as the options specify. Call it once, before all else.
pub fn init_with(format: Format, args: &LogFileArgs) -> anyhow::Result<()> {
    let Some(file) = &args.logfile else {
        init(format, args.loglevel);
        return Ok(());
    };
    let opened = open(file).with_context(|| format!("can't write the log to {}", file.display()))?;
    start(format, args.loglevel, BoxMakeWriter::new(Mutex::new(opened)), false);
    Ok(())
}

/// Returns true if the stream supports colours: it is a terminal that has them, and neither `NO_COLOR` nor `CLICOLOR`
/// disables them. clap decides in the same way about help.
pub fn colour<S: RawStream>(stream: &S) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

fn open(file: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(file)
}

fn start<W>(format: Format, level: Option<Level>, writer: W, ansi: bool)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // The libraries' own messages are left out. sqlx's warnings would quote parts of a mistyped URL.
    let ours = |level: Level| EnvFilter::new(format!("{},poem=warn,sqlx=error", level.as_str()));
    let filter = match level {
        Some(level) => ours(level),
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| ours(Level::Info)),
    };
    // Errors of the log itself are ignored: printing them would panic on a full disk, and end the program.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(writer)
        .log_internal_errors(false);
    match format {
        Format::Text => builder.with_ansi(ansi).init(),
        Format::Json => builder.json().flatten_event(true).init(),
    }
}

/// Returns an error of a command in one line; text that a cause repeats occurs only once.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text =
            cause.to_string().lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn one_line_of_repeated_causes_contains_each_once() {
        let error = anyhow::anyhow!("no such host").context("asking DNS: no such host").context("can't connect");
        assert_eq!(one_line(&error), "can't connect: asking DNS: no such host");
        assert_eq!(one_line(&anyhow::anyhow!("its log:\n\n  first\n  second\n")), "its log:; first; second");
    }
}
