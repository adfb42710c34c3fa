//! Logs: a story on stderr or in a file, for people or as JSON.

use std::{
    fs::{File, OpenOptions},
    io::IsTerminal as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::Context as _;
use clap::Args;
use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, writer::BoxMakeWriter},
};

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One object a line, for machines.
    Json,
}

/// How much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Level {
    /// What needs a person.
    Error,
    /// And what may soon.
    Warn,
    /// And what happens.
    Info,
    /// And how.
    Debug,
    /// And every step.
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

/// Where the log goes.
#[derive(Debug, Args)]
pub struct LogFileArgs {
    /// File that the log is appended to, instead of stderr; made for its user and group. Rotate it by copying and
    /// truncating.
    #[arg(short = 'f', long, env = "UNCLOUD_LOG_FILE", value_name = "FILE")]
    logfile: Option<PathBuf>,
    /// How much is written; RUST_LOG says it in more detail, where this is left out.
    #[arg(short = 'l', long, ignore_case = true, env = "UNCLOUD_LOG_LEVEL", value_name = "LEVEL")]
    loglevel: Option<Level>,
}

/// To be called once, first: a log on stderr, as much of it as `RUST_LOG` says.
pub fn init(format: Format) {
    start(format, None, BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal());
}

/// To be called once, first.
pub fn init_with(format: Format, args: &LogFileArgs) -> anyhow::Result<()> {
    let (writer, ansi) = if let Some(file) = &args.logfile {
        let file = open(file).with_context(|| format!("can't write the log to {}", file.display()))?;
        (BoxMakeWriter::new(Mutex::new(file)), false)
    } else {
        (BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal())
    };
    start(format, args.loglevel, writer, ansi);
    Ok(())
}

fn open(file: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(file)
}

fn start<W>(format: Format, level: Option<Level>, writer: W, ansi: bool)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // The libraries' own chatter is left out; ours tells the story. sqlx' warnings would quote parts of a mistyped URL.
    let ours = |level: Level| EnvFilter::new(format!("{},poem=warn,sqlx=error", level.as_str()));
    let filter = match level {
        Some(level) => ours(level),
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| ours(Level::Info)),
    };
    // Errors of the log itself have nowhere to go: printing them would panic on a full disk, and end whoever logs.
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

/// An error of a command for its user: one line, and what a cause repeats is said once.
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
    fn an_error_is_one_line_without_repetition() {
        let error = anyhow::anyhow!("no such host").context("asking DNS: no such host").context("can't connect");
        assert_eq!(one_line(&error), "can't connect: asking DNS: no such host");
        assert_eq!(one_line(&anyhow::anyhow!("its log:\n\n  first\n  second\n")), "its log:; first; second");
    }
}
