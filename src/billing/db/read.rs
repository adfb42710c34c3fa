//! Queries that read bills.

use std::collections::HashMap;

use sqlx::{PgExecutor, types::Json};

use crate::{
    billing::{
        bill::{Bill, BillFilter, BillNumber, BillRecord, BillVat},
        content::{Content, Party, RecordKind},
    },
    error::Error,
    http::{PageQuery, in_order},
    money::{
        amount::{Amount, Currency},
        period::{RecurringPeriod, Unit},
        unit_price::UnitPrice,
        vat::Category,
    },
};

/// Returns a page of bills by id.
pub(in crate::billing) async fn bills(
    db: impl PgExecutor<'_>,
    filter: &BillFilter,
    window: PageQuery,
) -> sqlx::Result<Vec<Bill>> {
    in_order!(
        window,
        db,
        query_as<Bill>,
        id "bill.bill_id",
        r#"select bill.bill_id, bill_number_text(year, sequence) as "number?", issue_date as "issue_date?", bill.payment_days,
                  bill.user_id, username, as_of, currency, vat_category as "category: Category", territory,
                  net_cents as "net: Amount", tax_cents as "tax: Amount", gross_cents as "gross: Amount",
                  rounding_cents as "rounding: Amount", amount_due_cents as "amount_due: Amount"
           from bill join bill_run using (run_id) join users on users.user_id = bill.user_id
           left join bill_number using (bill_id)
           where ($3::bigint is null or bill.user_id = $3)
             and ($4::bigint is null or run_id = $4) and ($5::date is null or issue_date >= $5)
             and ($6::date is null or issue_date < $6) and ($7 or bill_number.bill_id is not null)
             and ($8::text is null or currency = $8) and ($9::text is null or username = $9)"#,
        filter.user_id,
        filter.run_id,
        filter.from,
        filter.to,
        filter.drafts,
        filter.currency.as_ref().map(Currency::as_str),
        filter.username,
    )
}

/// Returns the id of the bill with this number.
pub(in crate::billing) async fn id_of_number(db: impl PgExecutor<'_>, number: BillNumber) -> sqlx::Result<Option<i64>> {
    let (year, sequence) = (number.year, number.sequence);
    sqlx::query_scalar!("select bill_id from bill_number where year = $1 and sequence = $2", year, sequence)
        .fetch_optional(db)
        .await
}

/// Returns what these bills say besides, and their sellers, by bill.
pub(in crate::billing) async fn contents(
    db: impl PgExecutor<'_>,
    bills: &[i64],
) -> sqlx::Result<HashMap<i64, (Party, Content)>> {
    let rows = sqlx::query!(
        r#"select bill_id, seller as "seller: Json<Party>", content as "content: Json<Content>"
           from bill join bill_run using (run_id) where bill_id = any($1)"#,
        bills
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.bill_id, (row.seller.0, row.content.0))).collect())
}

/// Returns the records of these bills, by order and time; those without an order last. All that they say about an order
/// is final.
pub(in crate::billing) async fn records(db: impl PgExecutor<'_>, bills: &[i64]) -> Result<Vec<BillRecord>, Error> {
    let rows = sqlx::query!(
        r#"select bill_id as "bill_id!", kind as "kind!: RecordKind", record.order_id, span_from as "span_from!",
                  span_to as "span_to!", record.net_cents as "net!: Amount",
                  category as "category: Category", territory, rate_ppm, corrects_bill_id,
                  case kind when 'recurring' then recurring_micros when 'credit' then recurring_micros
                       when 'one_time' then one_time_micros else abs(record.net_cents) * 10000 end
                      as "unit_price!: UnitPrice",
                  period_seconds is not null as "is_span!", starts_at as "starts_at?",
                  period_unit as "period_unit?: Unit", period_count, time_zone as "time_zone?"
           from (
               select bill_id, 'recurring' as kind, order_id, charge_from as span_from, charge_to as span_to, net_cents, vat_group,
                      period_seconds, null::bigint as corrects_bill_id, 0 as position
               from bill_charge where bill_id = any($1)
               union all
               select bill_id, kind, order_id, span_from, span_to, net_cents, vat_group, period_seconds, corrects_bill_id, position
               from bill_record where bill_id = any($1)) record
           join bill_vat using (bill_id, vat_group)
           left join orders on orders.order_id = record.order_id
           order by bill_id, record.order_id nulls last, span_from, kind = 'recurring', position"#,
        bills
    )
    .fetch_all(db)
    .await?;
    let records = rows.into_iter().map(|row| {
        let terms = row.starts_at.zip(row.period_unit.zip(row.period_count)).zip(row.time_zone).filter(|_| row.is_span);
        let position = terms.map(|((starts_at, (unit, count)), zone)| -> anyhow::Result<_> {
            let zone = zone.parse().map_err(|_| anyhow::anyhow!("{zone} is not a time zone"))?;
            Ok(RecurringPeriod::new(unit, count)?.position(starts_at, row.span_from, zone))
        });
        Ok(BillRecord {
            bill_id: row.bill_id,
            kind: row.kind,
            order_id: row.order_id,
            from: row.span_from,
            to: row.span_to,
            position: position.transpose()?,
            unit_price: row.unit_price,
            net: row.net,
            category: row.category,
            territory: row.territory,
            rate: row.rate_ppm.try_into()?,
            corrects: row.corrects_bill_id,
        })
    });
    Ok(records.collect::<anyhow::Result<_>>()?)
}

/// Returns the VAT of these bills, by group.
pub(in crate::billing) async fn vat(db: impl PgExecutor<'_>, bills: &[i64]) -> Result<Vec<BillVat>, Error> {
    let rows = sqlx::query!(
        r#"select bill_id, category as "category: Category", territory, rate_ppm,
                  taxable_amount_cents as "taxable_amount: Amount", tax_amount_cents as "tax_amount: Amount"
           from bill_vat where bill_id = any($1) order by bill_id, vat_group"#,
        bills
    )
    .fetch_all(db)
    .await?;
    let groups = rows.into_iter().map(|row| {
        Ok(BillVat {
            bill_id: row.bill_id,
            category: row.category,
            territory: row.territory,
            rate: row.rate_ppm.try_into()?,
            taxable_amount: row.taxable_amount,
            tax_amount: row.tax_amount,
        })
    });
    Ok(groups.collect::<anyhow::Result<_>>()?)
}
