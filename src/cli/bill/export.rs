//! The command `uncloud bill export`.

use chrono::{DateTime, Utc};
use clap::Args;
use futures_util::TryStreamExt as _;
use sqlx::PgPool;
use uncloud_wire::program::{self, Failure, print};

use crate::billing::export::{Format, export};

/// Options of `bill export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  uncloud bill export --from 2026-01-01T00:00:00Z --to 2026-04-01T00:00:00Z >q1.csv
  uncloud bill export --from 2026-01-01T00:00:00Z --to 2026-04-01T00:00:00Z --format json >q1.json")]
pub(super) struct ExportArgs {
    /// Only bills issued at this time or later (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = program::time)]
    from: DateTime<Utc>,
    /// Only bills issued before this time.
    #[arg(long, value_name = "TIME", value_parser = program::time)]
    to: DateTime<Utc>,
    /// Format of the file.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Writes the file to stdout while it reads the bills.
pub(super) async fn run(pool: PgPool, args: ExportArgs) -> anyhow::Result<()> {
    if args.from >= args.to {
        return Err(Failure::usage("--to must be later than --from").into());
    }
    let mut parts = std::pin::pin!(export(pool, args.from, args.to, args.format));
    while let Some(part) = parts.try_next().await? {
        print(&part)?;
    }
    Ok(())
}
