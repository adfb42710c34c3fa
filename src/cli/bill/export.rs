//! `uncloud bill export`.

use std::io::Write as _;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use clap::Args;
use futures_util::TryStreamExt as _;
use sqlx::PgPool;

use crate::billing::export::{Format, export};

/// Options of `bill export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Issued then or later (RFC 3339).
    #[arg(long, value_name = "TIME")]
    from: DateTime<Utc>,
    /// Issued before then.
    #[arg(long, value_name = "TIME")]
    to: DateTime<Utc>,
    /// The form of the file.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Writes the file to stdout while it is read.
pub(super) async fn run(pool: PgPool, args: ExportArgs) -> anyhow::Result<()> {
    ensure!(args.from < args.to, "--to must be later than --from");
    let mut parts = std::pin::pin!(export(pool, args.from, args.to, args.format));
    let mut stdout = std::io::stdout().lock();
    while let Some(part) = parts.try_next().await? {
        stdout.write_all(&part).context("writing the bills")?;
    }
    stdout.flush().context("writing the bills")
}
