//! Queries that read bills.

use std::collections::HashMap;

use sqlx::PgExecutor;

use crate::{
    billing::bill::{Bill, BillFilter, BillRecord, BillVat, Parties, Party, RecordKind},
    error::Error,
    http::{PageQuery, in_order},
    money::{
        amount::{Amount, Currency},
        period::{RecurringPeriod, Unit},
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
        r#"select bill.bill_id, number as "number?", bill.user_id, username, issued_at, currency, document,
                  net_cents as "net: Amount", tax_cents as "tax: Amount", gross_cents as "gross: Amount",
                  rounding_cents as "rounding: Amount", amount_due_cents as "amount_due: Amount"
           from bill join users using (user_id) left join bill_number using (bill_id)
           where ($3::bigint is null or bill.bill_id = $3) and ($4::bigint is null or bill.user_id = $4)
             and ($5::bigint is null or run_id = $5) and ($6::timestamptz is null or issued_at >= $6)
             and ($7::timestamptz is null or issued_at < $7) and ($8 or number is not null)
             and ($9::text is null or number = $9) and ($10::text is null or currency = $10)
             and ($11::text is null or username = $11)"#,
        filter.bill_id,
        filter.user_id,
        filter.run_id,
        filter.from,
        filter.to,
        filter.drafts,
        filter.number.as_deref(),
        filter.currency.as_ref().map(Currency::as_str),
        filter.username,
    )
}

/// Returns the records of these bills, in their order.
pub(in crate::billing) async fn records(db: impl PgExecutor<'_>, bills: &[i64]) -> Result<Vec<BillRecord>, Error> {
    let rows = sqlx::query!(
        r#"select bill_id, kind as "kind: RecordKind", record.order_id, product.name as "product?",
                  coalesce(orders.description, item.description) as "description!", span_from, span_to, period_seconds,
                  case kind when 'one_time' then one_time_cents when 'manual' then item.net_cents
                       else recurring_cents end as "unit_price!: Amount",
                  record.net_cents as "net: Amount", vat_category as "category: Category", vat_rate_ppm,
                  starts_at as "starts_at?", billing_ends_at, period_unit as "period_unit: Unit", period_count,
                  time_zone as "time_zone?",
                  (select later.order_id from orders later where later.replaces = record.order_id and not later.void)
                      as replaced_by
           from bill_record record
           left join orders using (order_id)
           left join product using (product_id)
           left join bill_item item on item.item_id = record.item_id
           where bill_id = any($1) order by bill_id, position"#,
        bills
    )
    .fetch_all(db)
    .await?;
    let records = rows.into_iter().map(|row| {
        let elapsed_seconds =
            match (row.starts_at, row.period_unit.zip(row.period_count), row.time_zone, row.period_seconds) {
                (Some(starts_at), Some((unit, count)), Some(zone), Some(_)) => {
                    let zone = zone.parse().map_err(|_| anyhow::anyhow!("{zone} is not a time zone"))?;
                    RecurringPeriod::new(unit, count)?.position(starts_at, row.span_from, zone).into_seconds
                }
                _ => 0,
            };
        Ok(BillRecord {
            bill_id: row.bill_id,
            kind: row.kind,
            order_id: row.order_id,
            product: row.product,
            description: row.description,
            from: row.span_from,
            to: row.span_to,
            period_seconds: row.period_seconds,
            elapsed_seconds,
            order_ends_at: row.billing_ends_at,
            replaced_by: row.replaced_by,
            unit_price: row.unit_price,
            net: row.net,
            category: row.category,
            rate: row.vat_rate_ppm.try_into()?,
        })
    });
    Ok(records.collect::<anyhow::Result<_>>()?)
}

/// Returns the seller and the customer of each bill.
pub(in crate::billing) async fn parties(db: impl PgExecutor<'_>, bills: &[i64]) -> sqlx::Result<HashMap<i64, Parties>> {
    let rows = sqlx::query!(
        "select bill_id, seller.name as seller_name, seller.street as seller_street,
                seller.postal_code as seller_postal_code, seller.city as seller_city, seller.country as seller_country,
                seller.vat_number as seller_vat_number, address.name, address.company, address.street,
                address.postal_code, address.city, address.country, address.vat_number
         from bill join bill_run using (run_id) join seller using (seller_id)
         join billing_address address using (address_id)
         where bill_id = any($1)",
        bills
    )
    .fetch_all(db)
    .await?;
    let parties = rows.into_iter().map(|row| {
        let seller = Party {
            name: row.seller_name,
            company: None,
            street: row.seller_street,
            postal_code: row.seller_postal_code,
            city: row.seller_city,
            country: row.seller_country,
            vat_number: row.seller_vat_number,
        };
        let customer = Party {
            name: row.name,
            company: row.company,
            street: row.street,
            postal_code: row.postal_code,
            city: row.city,
            country: row.country,
            vat_number: row.vat_number,
        };
        (row.bill_id, Parties { seller, customer })
    });
    Ok(parties.collect())
}

/// Returns the VAT of these bills, by category and rate.
pub(in crate::billing) async fn vat(db: impl PgExecutor<'_>, bills: &[i64]) -> Result<Vec<BillVat>, Error> {
    let rows = sqlx::query!(
        r#"select bill_id, category as "category: Category", rate_ppm, taxable_amount_cents as "taxable_amount: Amount",
                  tax_amount_cents as "tax_amount: Amount"
           from bill_vat where bill_id = any($1) order by bill_id, category, rate_ppm"#,
        bills
    )
    .fetch_all(db)
    .await?;
    let groups = rows.into_iter().map(|row| {
        Ok(BillVat {
            bill_id: row.bill_id,
            category: row.category,
            rate: row.rate_ppm.try_into()?,
            taxable_amount: row.taxable_amount,
            tax_amount: row.tax_amount,
        })
    });
    Ok(groups.collect::<anyhow::Result<_>>()?)
}
