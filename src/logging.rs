//! Logs: a story on stderr, for people or as JSON.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt};

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One object a line, for machines.
    Json,
}

/// To be called once, first. `RUST_LOG` says how much is written.
pub fn init(format: Format) {
    // The libraries' own chatter is left out; ours tells the story. sqlx' warnings would quote parts of a mistyped URL.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,poem=warn,sqlx=error"));
    let builder = fmt().with_env_filter(filter).with_target(false).with_writer(std::io::stderr);
    match format {
        Format::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        Format::Json => builder.json().flatten_event(true).init(),
    }
}
