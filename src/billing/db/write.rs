//! Statements that write bills: a batch of customers takes as many statements as one customer.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::copy::{Row, Rows};
use crate::{
    billing::{bill_run::Run, customer_bills::CustomerBills},
    error::Error,
    money::{
        amount::Amount,
        draft::{Draft, Kind, Record},
    },
    orders,
};

/// Writes bills, their records and VAT, and moves the orders' cursors.
pub(in crate::billing) async fn write(
    tx: &mut PgConnection,
    run: &Run,
    customers: &[CustomerBills],
) -> Result<(), Error> {
    let count = customers.iter().map(|customer| customer.drafts.len()).sum::<usize>();
    if count > 0 {
        let mut ids = reserve_ids(tx, count).await?.into_iter();
        let mut rows = BillRows::new();
        for customer in customers {
            for ((draft, content), bill_id) in customer.drafts.iter().zip(&customer.contents).zip(&mut ids) {
                rows.add(run, customer, bill_id, draft, content);
            }
        }
        rows.send(tx).await?;
    }
    orders::move_cursors(tx, customers.iter().flat_map(|customer| &customer.cursor_updates)).await?;
    Ok(())
}

async fn reserve_ids(tx: &mut PgConnection, count: usize) -> sqlx::Result<Vec<i64>> {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    sqlx::query_scalar!(
        r#"select nextval(sequence) as "id!"
           from (select pg_get_serial_sequence('bill', 'bill_id')::regclass as sequence offset 0) of_bills,
               generate_series(1, $1)"#,
        count
    )
    .fetch_all(tx)
    .await
}

const BILL: [&str; 13] = [
    "bill_id",
    "run_id",
    "user_id",
    "currency",
    "vat_category",
    "territory",
    "net_cents",
    "tax_cents",
    "gross_cents",
    "rounding_cents",
    "amount_due_cents",
    "payment_days",
    "content",
];
const CHARGE: [&str; 7] =
    ["bill_id", "order_id", "charge_from", "charge_to", "net_cents", "vat_group", "period_seconds"];
const RECORD: [&str; 12] = [
    "bill_id",
    "position",
    "kind",
    "order_id",
    "item_id",
    "correction_id",
    "span_from",
    "span_to",
    "period_seconds",
    "net_cents",
    "vat_group",
    "corrects_bill_id",
];
const VAT: [&str; 7] =
    ["bill_id", "vat_group", "category", "territory", "rate_ppm", "taxable_amount_cents", "tax_amount_cents"];

/// A row of `bill_charge`.
struct Charge {
    order_id: i64,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    bill_id: i64,
    net: Amount,
    vat_group: i16,
    period: i32,
}

/// Returns the charges' rows in the order of their key, so that the database finds neighbours in the index and in the orders
/// one after the other.
fn charge_rows(mut charges: Vec<Charge>) -> Rows {
    charges.sort_unstable_by_key(|charge| (charge.order_id, charge.from));
    let mut rows = Rows::new("bill_charge", &CHARGE);
    for charge in charges {
        rows.row(|row| {
            row.i64(charge.bill_id).i64(charge.order_id).time(charge.from).time(charge.to).i64(charge.net.cents());
            row.i16(charge.vat_group).i32(charge.period);
        });
    }
    rows
}

/// The rows of all bills of a batch, by table.
struct BillRows {
    bills: Rows,
    charges: Vec<Charge>,
    records: Rows,
    vat: Rows,
    item_ids: Vec<i64>,
    correction_ids: Vec<i64>,
}

impl BillRows {
    fn new() -> Self {
        Self {
            bills: Rows::new("bill", &BILL),
            charges: Vec::new(),
            records: Rows::new("bill_record", &RECORD),
            vat: Rows::new("bill_vat", &VAT),
            item_ids: Vec::new(),
            correction_ids: Vec::new(),
        }
    }

    fn add(&mut self, run: &Run, customer: &CustomerBills, bill_id: i64, draft: &Draft, content: &str) {
        let Draft { currency, treatment, totals, .. } = draft;
        let territory = treatment.territory();
        self.bills.row(|row| {
            row.i64(bill_id).i64(run.run_id).i64(customer.user_id).text(currency.as_str());
            row.text(treatment.category().as_str()).maybe(territory, |row, territory| _ = row.text(territory.as_str()));
            row.i64(totals.net.cents()).i64(totals.tax.cents()).i64(totals.gross.cents());
            row.i64(totals.rounding.cents()).i64(totals.amount_due.cents());
            row.maybe(customer.payment_days, |row, days| _ = row.i16(days)).text(content);
        });
        for (position, record) in (1..).zip(&draft.records) {
            self.add_record(bill_id, position, record, draft);
        }
        for (vat_group, group) in (1..).zip(&draft.vat) {
            self.vat.row(|row| {
                row.i64(bill_id).i16(vat_group).text(treatment.category().as_str());
                row.maybe(territory, |row, territory| _ = row.text(territory.as_str())).i32(group.rate.into());
                row.i64(group.base.cents()).i64(group.tax.cents());
            });
        }
    }

    fn add_record(&mut self, bill_id: i64, position: i32, record: &Record, draft: &Draft) {
        let vat_group = draft.vat_group(record.rate);
        let period = record.period_seconds.map(|secs| i32::try_from(secs).expect("50 years in seconds fit"));
        let (kind, item_id, correction_id, corrects) = match record.kind {
            Kind::Recurring => {
                let (order_id, period) = record.order_id.zip(period).expect("it is an order's");
                let Record { from, to, net, .. } = *record;
                self.charges.push(Charge { order_id, from, to, bill_id, net, vat_group, period });
                return;
            }
            Kind::Credit { corrects } => ("credit", None, None, Some(corrects)),
            Kind::OneTime => ("one_time", None, None, None),
            Kind::Manual { item_id, corrects } => ("manual", Some(item_id), None, corrects),
            Kind::Correction { correction_id, corrects } => ("correction", None, Some(correction_id), Some(corrects)),
        };
        self.item_ids.extend(item_id);
        self.correction_ids.extend(correction_id);
        let id = |row: &mut Row<'_>, id| _ = row.i64(id);
        self.records.row(|row| {
            row.i64(bill_id).i32(position).text(kind);
            row.maybe(record.order_id, id).maybe(item_id, id).maybe(correction_id, id);
            row.time(record.from).time(record.to).maybe(period, |row, period| _ = row.i32(period));
            row.i64(record.net.cents()).i16(vat_group).maybe(corrects, id);
        });
    }

    /// Sends the rows in the order in which the database checks them: VAT completes a bill.
    async fn send(self, tx: &mut PgConnection) -> sqlx::Result<()> {
        self.bills.send(tx).await?;
        charge_rows(self.charges).send(tx).await?;
        self.records.send(tx).await?;
        self.vat.send(tx).await?;
        if !self.item_ids.is_empty() {
            sqlx::query!("update bill_item set billed = true where item_id = any($1)", &self.item_ids)
                .execute(&mut *tx)
                .await?;
        }
        if !self.correction_ids.is_empty() {
            sqlx::query!(
                "update rate_correction set billed = true where correction_id = any($1)",
                &self.correction_ids
            )
            .execute(tx)
            .await?;
        }
        Ok(())
    }
}
