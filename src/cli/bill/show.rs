//! `uncloud bill ls` and `show`.

use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde_json::Value;
use sqlx::PgPool;

use crate::{
    accounts,
    billing::{
        self,
        bill::{Bill, BillFilter},
    },
    cli::output::{Output, Table},
    http::Window,
    money::amount::Amount,
    user::Username,
};

/// Options of `bill ls`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// This customer's.
    #[arg(long, value_name = "USER")]
    customer: Option<Username>,
    /// Issued then or later.
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Issued before then.
    #[arg(long, value_name = "TIME")]
    to: Option<DateTime<Utc>>,
    /// At most so many, the oldest first.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
    #[command(flatten)]
    output: Output,
}

/// Options of `bill show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Its number, as in 2026-000042.
    #[arg(value_name = "NUMBER")]
    number: String,
    #[command(flatten)]
    output: Output,
}

fn money(amount: Amount) -> Value {
    amount.to_string().into()
}

fn time(time: DateTime<Utc>) -> Value {
    time.to_rfc3339_opts(SecondsFormat::Secs, true).into()
}

pub(super) async fn list(pool: &PgPool, args: ListArgs) -> anyhow::Result<()> {
    let user_id = match &args.customer {
        Some(name) => {
            Some(accounts::find(pool, name).await?.with_context(|| format!("there is no user {name}"))?.user_id)
        }
        None => None,
    };
    let filter = BillFilter { user_id, from: args.from, to: args.to, ..BillFilter::default() };
    let mut table =
        Table::new(&["number", "customer", "issued_at", "document", "currency", "net", "vat", "amount_due"]);
    for bill in billing::bills(pool, &filter, Window::first(args.limit)).await? {
        let Bill { number, username, issued_at, document, currency, net, tax, amount_due, .. } = bill;
        table.row([
            number.into(),
            username.into(),
            time(issued_at),
            document.into(),
            currency.into(),
            money(net),
            money(tax),
            money(amount_due),
        ]);
    }
    table.print(&args.output)
}

pub(super) async fn show(pool: &PgPool, args: ShowArgs) -> anyhow::Result<()> {
    let found = billing::bill_by_number(pool, &args.number).await?;
    let whole = found.with_context(|| format!("there is no bill {}; `uncloud bill ls` lists them", args.number))?;
    let mut table = Table::new(&["order", "what", "from", "to", "quantity", "unit_price", "net", "vat"]);
    for record in &whole.records {
        table.row([
            record.order_id.into(),
            format!("{} ({})", record.description, record.reason()).into(),
            time(record.from),
            time(record.to),
            record.quantity().into(),
            money(record.unit_price),
            money(record.net),
            format!("{} {}", record.category, record.rate).into(),
        ]);
    }
    table.print(&args.output)?;
    if !args.output.is_json() {
        let Bill { currency, net, tax, gross, amount_due, .. } = &whole.bill;
        eprintln!("net {net}, VAT {tax}, gross {gross}, amount due {amount_due} {currency}");
    }
    Ok(())
}
