//! The commands `uncloud bill ls` and `show`.

use chrono::NaiveDate;
use clap::Args;
use serde_json::Value;
use sqlx::PgPool;
use uncloud_wire::program::{Failure, say};

use crate::{
    billing::{
        self,
        bill::{Bill, BillFilter, BillNumber, WholeBill},
    },
    cli::{
        output::{Output, Table},
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
  uncloud bill ls --from 2026-01-01 --output json")]
pub(super) struct ListArgs {
    /// Only bills of this customer.
    #[arg(long, value_name = "USER")]
    customer: Option<Username>,
    /// Only bills issued on this date or later, as in 2026-01-01.
    #[arg(long, value_name = "DATE")]
    from: Option<NaiveDate>,
    /// Only bills issued before this date.
    #[arg(long, value_name = "DATE")]
    to: Option<NaiveDate>,
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
    number: BillNumber,
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
    args.output.list(billing::bills(&pool.clone().into(), &filter, PageQuery::first(args.limit)).await?, list_table)
}

fn list_table(bills: &[Bill]) -> Table {
    let mut table =
        Table::new(&["number", "customer", "issue_date", "document", "currency", "net", "vat", "amount_due"]);
    for bill in bills {
        table.row([
            bill.number.clone().into(),
            bill.username.clone().into(),
            bill.issue_date.map(|date| date.to_string()).into(),
            bill.document().into(),
            bill.currency.clone().into(),
            money(bill.net),
            money(bill.tax),
            money(bill.amount_due),
        ]);
    }
    table
}

pub(super) async fn show(pool: &PgPool, args: ShowArgs) -> anyhow::Result<()> {
    let found = billing::bill_by_number(pool, args.number).await?;
    let whole = found.ok_or_else(|| {
        Failure::not_found(format!("bill {} not found; `uncloud bill ls` lists the bills", args.number))
    })?;
    let Bill { currency, net, tax, gross, amount_due, .. } = &whole.bill;
    let totals = format!("net {net}, VAT {tax}, gross {gross}, amount due {amount_due} {currency}\n");
    args.output.object(whole, lines_table)?;
    if !args.output.is_json() {
        say(&totals);
    }
    Ok(())
}

fn lines_table(whole: &WholeBill) -> Table {
    let mut table = Table::new(&["text", "quantity", "unit", "unit_price", "net", "vat_percent"]);
    for line in &whole.content.lines {
        let group = usize::try_from(line.vat_group - 1).ok().and_then(|place| whole.vat.get(place));
        table.row([
            match &line.reason {
                Some(reason) => format!("{} ({reason})", line.text).into(),
                None => line.text.clone().into(),
            },
            line.quantity.clone().into(),
            line.unit.clone().into(),
            line.unit_price.clone().into(),
            money(line.net),
            group.map(|group| group.rate.percent()).into(),
        ]);
    }
    table
}
