//! The command `uncloud bill`.

mod correct_rates;
mod export;
mod run;
mod show;
mod simulate;

use clap::{Args, Subcommand};

use super::{
    config::DatabaseArgs,
    output::{Output, Table},
};

/// Options of `bill`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  uncloud bill run                              # bill all customers what is due now
  uncloud bill run --as-of 2026-12-01T00:00:00Z --dry-run
  uncloud bill run --customer alice             # bill one customer now
  uncloud bill ls --customer alice --from 2026-01-01
  uncloud bill show 2026-000042
  uncloud bill export --from 2026-01-01 --to 2026-04-01 > q1.csv
  uncloud bill simulate cases.json              # play cases through; changes nothing")]
pub(super) struct BillArgs {
    #[command(subcommand)]
    command: BillCommand,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum BillCommand {
    /// Bill what is due. Bill runs are idempotent: repeated or concurrent runs never bill anything twice.
    Run(run::RunArgs),
    /// List bills.
    Ls(show::ListArgs),
    /// Show a bill with its lines; as JSON, also with the records from which it can be recomputed.
    Show(show::ShowArgs),
    /// Write the bills of a period with their VAT to stdout, for the accounts.
    Export(export::ExportArgs),
    /// Play cases of orders, changes and runs through the database, roll them back, and print the results.
    Simulate(simulate::SimulateArgs),
    /// Undo the bills of a run that has not ended; they have no numbers. The next run bills their items.
    #[command(after_help = "Example:\n  uncloud bill abort 17")]
    Abort {
        /// Id of the run, as in `GET /v1/admin/bill_run`.
        #[arg(value_name = "RUN")]
        run: i64,
    },
    /// Correct, on the next bills, what was billed at VAT rates that were imported too late.
    CorrectRates(correct_rates::CorrectRatesArgs),
    /// Compute all orders and bills again, and compare the results with what is billed.
    #[command(after_help = "Example:\n  uncloud bill verify && echo sound")]
    Verify {
        #[command(flatten)]
        output: Output,
    },
}

pub(super) async fn run(args: BillArgs) -> anyhow::Result<()> {
    let pool = args.database.connect().await?;
    match args.command {
        BillCommand::Run(run) => run::run(&pool, run).await,
        BillCommand::Ls(list) => show::list(&pool, list).await,
        BillCommand::Show(bill) => show::show(&pool, bill).await,
        BillCommand::Export(period) => export::run(pool, period).await,
        BillCommand::Simulate(cases) => simulate::run(&pool, cases).await,
        BillCommand::Abort { run } => Ok(crate::billing::run::abort(&pool, run, None).await?),
        BillCommand::CorrectRates(args) => correct_rates::run(&pool, args).await,
        BillCommand::Verify { output } => verify(&pool, &output).await,
    }
}

async fn verify(pool: &sqlx::PgPool, output: &Output) -> anyhow::Result<()> {
    let discrepancies = crate::billing::verify::verify(pool).await?;
    let mut table = Table::new(&["order", "bill", "discrepancy"]);
    for discrepancy in &discrepancies {
        table.row([discrepancy.order_id.into(), discrepancy.bill_id.into(), discrepancy.detail.clone().into()]);
    }
    output.rows(&table)?;
    anyhow::ensure!(
        discrepancies.is_empty(),
        "{} orders or bills differ from the expected billing",
        discrepancies.len()
    );
    Ok(())
}
