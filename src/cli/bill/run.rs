//! `uncloud bill run`.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, SubsecRound as _, Utc};
use clap::Args;
use serde_json::Value;
use sqlx::PgPool;

use crate::{
    accounts,
    billing::{
        Problem,
        run::{self, Progress, Summary},
    },
    cli::output::{Output, Table},
    money, request_context,
    user::Username,
};

/// Transactions at the same time.
const WORKERS: usize = 2;

/// Options of `bill run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Bill what is due at this time, which is also the bills' date (RFC 3339); now if not given.
    #[arg(long, value_name = "TIME")]
    as_of: Option<DateTime<Utc>>,
    /// Only this customer.
    #[arg(long, value_name = "USER")]
    customer: Option<Username>,
    /// Say what would be billed, and bill nothing. May look into the future.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(pool: &PgPool, args: RunArgs) -> anyhow::Result<()> {
    let now = crate::clock::now(pool).await?;
    let as_of = args.as_of.unwrap_or(now).trunc_subsecs(0);
    ensure!(as_of <= now || args.dry_run, "--as-of lies in the future; add --dry-run to see what would be billed then");
    let customer = match &args.customer {
        Some(name) => {
            let user = accounts::find(pool, name).await?;
            Some(user.with_context(|| format!("there is no user {name}"))?.user_id)
        }
        None => None,
    };
    let (summary, problems) = match (customer, args.dry_run) {
        (customer, true) => run::dry_run(pool, as_of, customer).await?,
        (Some(customer), false) => {
            let mut tx = request_context::begin(pool).await?;
            let (run, problem) = run::bill_one(&mut tx, customer, as_of, None).await?;
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
    print(&summary, &problems, &args.output)
}

fn print(summary: &[Summary], problems: &[Problem], output: &Output) -> anyhow::Result<()> {
    let mut table = Table::new(&["currency", "bills", "net", "vat", "gross"]);
    for line in summary {
        let money = |amount: money::amount::Amount| Value::from(amount.to_string());
        let Summary { currency, bills, net, tax, gross } = line;
        table.row([currency.clone().into(), (*bills).into(), money(*net), money(*tax), money(*gross)]);
    }
    table.print(output)?;
    for problem in problems {
        eprintln!("customer {}: {} ({})", problem.user_id, problem.detail, problem.code);
    }
    if !problems.is_empty() {
        bail!("{} customers could not be billed; what is due of them comes with the next run", problems.len());
    }
    Ok(())
}

fn show_progress(progress: Progress) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{} of {} customers", progress.customers_done, progress.customers);
        let _ = std::io::stderr().flush(); // a line less of progress is no reason to stop
    }
}

fn end_progress() {
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
}
