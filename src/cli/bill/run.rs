//! The command `uncloud bill run`.

use anyhow::bail;
use chrono::{DateTime, SubsecRound as _, Utc};
use clap::Args;
use serde_json::Value;
use sqlx::PgPool;
use uncloud_wire::program::{self, Failure, can_overwrite, say};

use crate::{
    billing::{
        Problem,
        bill_run::{Progress, Summary},
        run::{self, OneCustomer},
    },
    cli::{
        output::{Output, Table},
        users,
    },
    money, request_context,
    user::Username,
};

/// Maximum number of concurrent transactions.
const WORKERS: usize = 2;

/// Options of `bill run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  uncloud bill run
  uncloud bill run --as-of 2026-12-01T00:00:00Z --dry-run
  uncloud bill run --customer alice --output json")]
pub(super) struct RunArgs {
    /// Time up to which to bill (RFC 3339) [default: now, or the seller's last billing day]. The bills are
    /// dated today.
    #[arg(long, value_name = "TIME", value_parser = program::time)]
    as_of: Option<DateTime<Utc>>,
    /// Only this customer.
    #[arg(long, value_name = "USER")]
    customer: Option<Username>,
    /// Print what would be billed, and bill nothing. May look into the future.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(pool: &PgPool, args: RunArgs) -> anyhow::Result<()> {
    let now = crate::clock::now(pool).await?;
    let as_of = match args.as_of {
        Some(as_of) => as_of,
        None if args.customer.is_some() => now,
        None => run::cut_off(&mut *pool.acquire().await?, now).await?,
    };
    let as_of = as_of.trunc_subsecs(0);
    if as_of > now && !args.dry_run {
        let what = "--as-of is in the future; add --dry-run to see what would be billed then";
        return Err(Failure::usage(what).into());
    }
    let customer = match &args.customer {
        Some(name) => Some(users::find(pool, name).await?.id),
        None => None,
    };
    let (summary, problems) = match (customer, args.dry_run) {
        (customer, true) => run::dry_run(pool, as_of, customer).await?,
        (Some(customer), false) => {
            let mut tx = request_context::begin(pool).await?;
            let (run, problem) = run::bill_one(&mut tx, OneCustomer::all_due(customer, as_of), now).await?;
            let summary = run::summary(&mut tx, run.run_id).await?;
            if summary.is_empty() {
                tx.rollback().await?;
            } else {
                tx.commit().await?;
            }
            (summary, problem.into_iter().collect())
        }
        (None, false) => {
            let run = run::complete(pool, as_of, WORKERS, show_progress).await?;
            end_progress();
            (run::summary(&mut *pool.acquire().await?, run).await?, run::problems(pool, run).await?)
        }
    };
    print(summary, &problems, &args.output)
}

fn print(summary: Vec<Summary>, problems: &[Problem], output: &Output) -> anyhow::Result<()> {
    output.list(summary, table)?;
    for problem in problems {
        say(&format!("customer {}: {} ({})\n", problem.user_id, problem.detail, problem.code));
    }
    if !problems.is_empty() {
        bail!("{} customers could not be billed; the next run bills their due items", problems.len());
    }
    Ok(())
}

fn table(summary: &[Summary]) -> Table {
    let mut table = Table::new(&["currency", "bills", "net", "vat", "gross"]);
    for line in summary {
        let money = |amount: money::amount::Amount| Value::from(amount.to_string());
        let Summary { currency, bills, net, tax, gross } = line;
        table.row([currency.clone().into(), (*bills).into(), money(*net), money(*tax), money(*gross)]);
    }
    table
}

fn show_progress(progress: Progress) {
    if can_overwrite() {
        say(&format!("\r\x1b[K{} of {} customers", progress.customers_done, progress.customers));
    }
}

fn end_progress() {
    if can_overwrite() {
        say("\n");
    }
}
