//! Statements that write bills: a batch of customers takes as many statements as one customer.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    billing::{bill_run::Run, customer_bills::CustomerBills},
    error::Error,
    money::draft::{Draft, Kind, Record},
    orders,
};

/// Writes bills, records and VAT, and moves the orders' cursors.
pub(in crate::billing) async fn write(
    tx: &mut PgConnection,
    run: &Run,
    customers: &[CustomerBills],
) -> Result<(), Error> {
    let bills: Vec<(&CustomerBills, &Draft)> =
        customers.iter().flat_map(|customer| customer.drafts.iter().map(move |draft| (customer, draft))).collect();
    if !bills.is_empty() {
        let ids = insert_bills(tx, run, &bills).await?;
        let of = |(customer, draft): &(&CustomerBills, &Draft)| {
            ids.get(&(customer.user_id, draft.currency.as_str().to_owned())).copied().unwrap_or_default()
        };
        insert_records(tx, bills.iter().map(|bill| (of(bill), bill.1))).await?;
        insert_vat(tx, bills.iter().map(|bill| (of(bill), bill.1))).await?;
    }
    orders::move_cursors(tx, customers.iter().flat_map(|customer| &customer.cursor_updates)).await?;
    Ok(())
}

/// Inserts the bills; returns their ids, by customer and currency.
async fn insert_bills(
    tx: &mut PgConnection,
    run: &Run,
    bills: &[(&CustomerBills, &Draft)],
) -> sqlx::Result<HashMap<(i64, String), i64>> {
    let users: Vec<i64> = bills.iter().map(|(customer, _)| customer.user_id).collect();
    let addresses: Vec<i64> = bills.iter().map(|(customer, _)| customer.address_id).collect();
    let currencies: Vec<String> = bills.iter().map(|(_, draft)| draft.currency.as_str().to_owned()).collect();
    let totals = |amount: fn(&Draft) -> i64| bills.iter().map(|(_, draft)| amount(draft)).collect::<Vec<i64>>();
    let rows = sqlx::query!(
        "insert into bill (run_id, issued_at, user_id, currency, address_id, net_cents, tax_cents, gross_cents,
             rounding_cents, amount_due_cents)
         select $1, $2, * from unnest($3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
             $9::bigint[], $10::bigint[])
         returning bill_id, user_id, currency",
        run.run_id,
        run.as_of,
        &users,
        &currencies,
        &addresses,
        &totals(|draft| draft.totals.net.cents()),
        &totals(|draft| draft.totals.tax.cents()),
        &totals(|draft| draft.totals.gross.cents()),
        &totals(|draft| draft.totals.rounding.cents()),
        &totals(|draft| draft.totals.amount_due.cents()),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.user_id, row.currency), row.bill_id)).collect())
}

/// The columns of the table of records, for `unnest`.
#[derive(Default)]
struct Columns {
    bill_id: Vec<i64>,
    position: Vec<i32>,
    kind: Vec<String>,
    order_id: Vec<Option<i64>>,
    item_id: Vec<Option<i64>>,
    span_from: Vec<DateTime<Utc>>,
    span_to: Vec<DateTime<Utc>>,
    prev_to: Vec<Option<DateTime<Utc>>>,
    period_seconds: Vec<Option<i32>>,
    net_cents: Vec<i64>,
    vat_category: Vec<String>,
    vat_rate_ppm: Vec<i32>,
}

impl Columns {
    fn push(&mut self, bill_id: i64, position: i32, record: &Record) {
        let (kind, item_id, prev_to, period_seconds) = match record.kind {
            Kind::Recurring { prev_to, period_seconds } => ("recurring", None, prev_to, Some(period_seconds)),
            Kind::Credit { period_seconds } => ("credit", None, None, Some(period_seconds)),
            Kind::OneTime => ("one_time", None, None, None),
            Kind::Manual { item_id } => ("manual", Some(item_id), None, None),
        };
        self.bill_id.push(bill_id);
        self.position.push(position);
        self.kind.push(kind.to_owned());
        self.order_id.push(record.order_id);
        self.item_id.push(item_id);
        self.span_from.push(record.from);
        self.span_to.push(record.to);
        self.prev_to.push(prev_to);
        self.period_seconds.push(period_seconds.map(|secs| i32::try_from(secs).expect("50 years in seconds fit")));
        self.net_cents.push(record.net.cents());
        self.vat_category.push(record.category.as_str().to_owned());
        self.vat_rate_ppm.push(record.rate.into());
    }
}

async fn insert_records<'a>(tx: &mut PgConnection, bills: impl Iterator<Item = (i64, &'a Draft)>) -> sqlx::Result<()> {
    let mut columns = Columns::default();
    for (bill_id, draft) in bills {
        for (position, record) in (1..).zip(&draft.records) {
            columns.push(bill_id, position, record);
        }
    }
    sqlx::query!(
        "insert into bill_record (bill_id, position, kind, order_id, item_id, span_from, span_to, prev_to,
             period_seconds, net_cents, vat_category, vat_rate_ppm)
         select * from unnest($1::bigint[], $2::integer[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[],
             $7::timestamptz[], $8::timestamptz[], $9::integer[], $10::bigint[], $11::text[], $12::integer[])",
        &columns.bill_id,
        &columns.position,
        &columns.kind,
        &columns.order_id as &[Option<i64>],
        &columns.item_id as &[Option<i64>],
        &columns.span_from,
        &columns.span_to,
        &columns.prev_to as &[Option<DateTime<Utc>>],
        &columns.period_seconds as &[Option<i32>],
        &columns.net_cents,
        &columns.vat_category,
        &columns.vat_rate_ppm,
    )
    .execute(&mut *tx)
    .await?;
    let manual_items: Vec<i64> = columns.item_id.into_iter().flatten().collect();
    if !manual_items.is_empty() {
        sqlx::query!("update bill_item set billed = true where item_id = any($1)", &manual_items).execute(tx).await?;
    }
    Ok(())
}

async fn insert_vat<'a>(tx: &mut PgConnection, bills: impl Iterator<Item = (i64, &'a Draft)>) -> sqlx::Result<()> {
    let (mut ids, mut categories, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bases, mut taxes) = (Vec::new(), Vec::new());
    for (bill_id, draft) in bills {
        for group in &draft.vat {
            ids.push(bill_id);
            categories.push(group.category.as_str().to_owned());
            rates.push(i32::from(group.rate));
            bases.push(group.base.cents());
            taxes.push(group.tax.cents());
        }
    }
    sqlx::query!(
        "insert into bill_vat (bill_id, category, rate_ppm, taxable_amount_cents, tax_amount_cents)
         select * from unnest($1::bigint[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[])",
        &ids,
        &categories,
        &rates,
        &bases,
        &taxes
    )
    .execute(tx)
    .await
    .map(drop)
}
