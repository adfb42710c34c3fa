//! The command `uncloud bill export`.

use chrono::NaiveDate;
use clap::Args;
use futures_util::TryStreamExt as _;
use sqlx::PgPool;
use uncloud_wire::program::{Failure, print};

use crate::billing::export::{Format, export};

/// Options of `bill export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  uncloud bill export --from 2026-01-01 --to 2026-04-01 >q1.csv
  uncloud bill export --from 2026-01-01 --to 2026-04-01 --format json >q1.json")]
pub(super) struct ExportArgs {
    /// First issue date, as in 2026-01-01.
    #[arg(long, value_name = "DATE")]
    from: NaiveDate,
    /// Date after the last issue date.
    #[arg(long, value_name = "DATE")]
    to: NaiveDate,
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
