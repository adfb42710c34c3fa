//! The command `uncloud bill correct-rates`.

use clap::Args;
use sqlx::PgPool;

use crate::{
    billing::correction::{self, Affected},
    cli::output::{Output, Table},
};

/// Options of `bill correct-rates`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  uncloud bill correct-rates --dry-run    # what was billed at other rates than those of its time
  uncloud bill correct-rates              # credit it at the old, charge it at the new rate")]
pub(super) struct CorrectRatesArgs {
    /// Print what would be corrected, and order nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

/// Prints what was billed at other rates, and orders the corrections.
pub(super) async fn run(pool: &PgPool, args: CorrectRatesArgs) -> anyhow::Result<()> {
    let affected = if args.dry_run { correction::affected(pool).await? } else { correction::order(pool, None).await? };
    args.output.list(affected, table)
}

fn table(affected: &[Affected]) -> Table {
    let mut table = Table::new(&["territory", "old_percent", "new_percent", "currency", "bills", "customers", "net"]);
    for one in affected {
        table.row([
            one.territory.to_string().into(),
            one.old_rate.percent().into(),
            one.new_rate.percent().into(),
            one.currency.to_string().into(),
            one.bills.into(),
            one.customers.into(),
            one.net.to_string().into(),
        ]);
    }
    table
}
