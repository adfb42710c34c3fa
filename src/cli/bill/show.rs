//! The commands `uncloud bill ls` and `show`.

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::Value;
use sqlx::PgPool;
use uncloud_wire::program::{self, Failure, say};

use crate::{
    billing::{
        self,
        bill::{Bill, BillFilter, WholeBill},
    },
    cli::{
        output::{Output, Table, time},
        users,
    },
    http::PageQuery,
    money::amount::Amount,
    user::Username,
};

/// Options of `bill ls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  uncloud bill ls --customer alice
  uncloud bill ls --from 2026-01-01T00:00:00Z --output json")]
pub(super) struct ListArgs {
    /// Only bills of this customer.
    #[arg(long, value_name = "USER")]
    customer: Option<Username>,
    /// Only bills issued at this time or later (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = program::time)]
    from: Option<DateTime<Utc>>,
    /// Only bills issued before this time.
    #[arg(long, value_name = "TIME", value_parser = program::time)]
    to: Option<DateTime<Utc>>,
    /// Largest number of bills to list, the oldest first.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
    #[command(flatten)]
    output: Output,
}

/// Options of `bill show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  uncloud bill show 2026-000042")]
pub(super) struct ShowArgs {
    /// Number of the bill, as in 2026-000042.
    #[arg(value_name = "NUMBER")]
    number: String,
    #[command(flatten)]
    output: Output,
}

fn money(amount: Amount) -> Value {
    amount.to_string().into()
}

pub(super) async fn list(pool: &PgPool, args: ListArgs) -> anyhow::Result<()> {
    let user_id = match &args.customer {
        Some(name) => Some(users::find(pool, name).await?.id),
        None => None,
    };
    let filter = BillFilter { user_id, from: args.from, to: args.to, ..BillFilter::default() };
    args.output.list(billing::bills(pool, &filter, PageQuery::first(args.limit)).await?, list_table)
}

fn list_table(bills: &[Bill]) -> Table {
    let mut table =
        Table::new(&["number", "customer", "issued_at", "document", "currency", "net", "vat", "amount_due"]);
    for bill in bills {
        table.row([
            bill.number.clone().into(),
            bill.username.clone().into(),
            time(bill.issued_at),
            bill.document.clone().into(),
            bill.currency.clone().into(),
            money(bill.net),
            money(bill.tax),
            money(bill.amount_due),
        ]);
    }
    table
}

pub(super) async fn show(pool: &PgPool, args: ShowArgs) -> anyhow::Result<()> {
    let found = billing::bill_by_number(pool, &args.number).await?;
    let whole = found.ok_or_else(|| {
        Failure::not_found(format!("bill {} not found; `uncloud bill ls` lists the bills", args.number))
    })?;
    let Bill { currency, net, tax, gross, amount_due, .. } = &whole.bill;
    let totals = format!("net {net}, VAT {tax}, gross {gross}, amount due {amount_due} {currency}\n");
    args.output.object(whole, records_table)?;
    if !args.output.is_json() {
        say(&totals);
    }
    Ok(())
}

fn records_table(whole: &WholeBill) -> Table {
    let mut table = Table::new(&["order", "description", "from", "to", "quantity", "unit_price", "net", "vat"]);
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
    table
}
