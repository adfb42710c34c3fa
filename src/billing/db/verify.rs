//! Queries that compare all orders with their records.

use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt as _};
use sqlx::{PgExecutor, PgPool};

use crate::{
    money::{
        amount::Amount,
        charge::{BillingMode, UpgradeCredit},
        period::Unit,
        unit_price::UnitPrice,
    },
    orders::OrderRow,
};

/// An order and the sums of its records.
pub(in crate::billing) struct BilledOrder {
    pub order: OrderRow,
    pub due_at: Option<DateTime<Utc>>,
    /// The recurring charges less credits.
    pub net: Amount,
    /// The one-time charge.
    pub one_time: Amount,
    /// The end of the span that the records cover.
    pub covered_to: Option<DateTime<Utc>>,
    /// True if there is a cursor, of the same customer.
    pub has_cursor: bool,
}

pub(in crate::billing) fn billed_orders(pool: &PgPool) -> impl Stream<Item = sqlx::Result<BilledOrder>> + Unpin {
    sqlx::query!(
        r#"select order_id, orders.user_id, currency, one_time_micros as "one_time: UnitPrice",
                  recurring_micros as "recurring: UnitPrice", period_unit as "period_unit: Unit", period_count,
                  billing_mode as "billing_mode: BillingMode", commitment_periods, carried_commitment_ends_at,
                  upgrade_credit as "upgrade_credit: UpgradeCredit", time_zone, starts_at, billing_ends_at, replaces, void,
                  billed_through, coalesce(one_time_billed, false) as "one_time_billed!", due_at,
                  cursor.user_id is not distinct from orders.user_id as "has_cursor!",
                  coalesce(charged.net, 0) + coalesce(billed.net, 0) as "net!: Amount",
                  coalesce(once, 0) as "once!: Amount", least(charged_to, credited_from) as covered_to
           from orders left join order_cursor cursor using (order_id)
           left join (
               select order_id, sum(net_cents)::bigint as net, max(charge_to) as charged_to from bill_charge group by order_id) charged
               using (order_id)
           left join (
               select order_id, (sum(net_cents) filter (where kind <> 'one_time'))::bigint as net,
                      (sum(net_cents) filter (where kind = 'one_time'))::bigint as once,
                      min(span_from) filter (where kind = 'credit') as credited_from
               from bill_record where order_id is not null group by order_id) billed using (order_id)
           order by order_id"#
    )
    .fetch(pool)
    .map(|row| {
        let row = row?;
        Ok(BilledOrder {
            due_at: row.due_at,
            net: row.net,
            one_time: row.once,
            covered_to: row.covered_to,
            has_cursor: row.has_cursor,
            order: OrderRow {
                order_id: row.order_id,
                user_id: row.user_id,
                currency: row.currency,
                one_time: row.one_time,
                recurring: row.recurring,
                period_unit: row.period_unit,
                period_count: row.period_count,
                billing_mode: row.billing_mode,
                commitment_periods: row.commitment_periods,
                carried_commitment_ends_at: row.carried_commitment_ends_at,
                upgrade_credit: row.upgrade_credit,
                time_zone: row.time_zone,
                starts_at: row.starts_at,
                billing_ends_at: row.billing_ends_at,
                replaces: row.replaces,
                void: row.void,
                billed_through: row.billed_through,
                one_time_billed: row.one_time_billed,
            },
        })
    })
}

/// A bill that its own rows contradict.
pub(in crate::billing) struct UnsoundBill {
    pub bill_id: i64,
    /// It has records of another customer or currency.
    pub foreign: bool,
    /// Its lines are not those of its records.
    pub misprinted: bool,
}

pub(in crate::billing) async fn unsound_bills(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<UnsoundBill>> {
    sqlx::query_as!(
        UnsoundBill,
        r#"with record as (
               select bill_id, order_id, null::bigint as item_id, null::bigint as correction_id, vat_group, net_cents from bill_charge
               union all
               select bill_id, order_id, item_id, correction_id, vat_group, net_cents from bill_record)
           select bill_id as "bill_id!", coalesce(strange, false) as "foreign!",
                  misprinted and net is not distinct from net_cents as "misprinted!"
           from (select bill_id, user_id, currency, net_cents, tax_cents,
                        exists (
                            select from (
                                select (line ->> 'order_id')::bigint as order_id, line ->> 'kind' as kind,
                                       (line ->> 'vat_group')::smallint as vat_group, (line ->> 'net')::numeric * 100 as net
                                from json_array_elements(content -> 'lines') line
                                union all
                                select order_id, 'recurring', vat_group, -net_cents from bill_charge where bill_id = bill.bill_id
                                union all
                                select order_id, kind, vat_group, -net_cents from bill_record where bill_id = bill.bill_id) part
                            group by order_id, kind, vat_group having sum(net) <> 0) as misprinted
                 from bill) bill
           left join (
               select record.bill_id, sum(record.net_cents) as net,
                      bool_or((coalesce(orders.user_id, item.user_id, correction.user_id),
                               coalesce(orders.currency, item.currency, correction.currency))
                          is distinct from (whose.user_id, whose.currency)) as strange
               from record join bill whose on whose.bill_id = record.bill_id
               left join orders on orders.order_id = record.order_id
               left join bill_item item on item.item_id = record.item_id
               left join rate_correction correction on correction.correction_id = record.correction_id
               group by record.bill_id) lines using (bill_id)
           left join (
               select bill_id, sum(taxable_amount_cents) as base, sum(tax_amount_cents) as tax,
                      bool_and(taxable_amount_cents = groups.net) as fits
               from bill_vat left join (
                   select bill_id, vat_group, sum(net_cents) as net from record group by bill_id, vat_group) groups
                   using (bill_id, vat_group)
               group by bill_id) vat using (bill_id)
           where strange is not false or net <> net_cents or base is distinct from net or tax is distinct from tax_cents
               or fits is not true or misprinted
           order by bill_id"#
    )
    .fetch_all(db)
    .await
}

/// Returns the items of staff, and the corrections of VAT rates, whose rows say that they are billed although they are on no
/// bill, or the reverse.
pub(in crate::billing) async fn wrongly_marked(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<(String, i64)>> {
    let rows = sqlx::query!(
        r#"select 'bill item' as "what!", item_id as "id!" from bill_item
           where billed <> exists (select from bill_record where kind = 'manual' and bill_record.item_id = bill_item.item_id)
           union all
           select 'rate correction', correction_id from rate_correction
           where billed <> exists (select from bill_record
                                   where kind = 'correction' and bill_record.correction_id = rate_correction.correction_id)
           order by 1, 2"#
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.what, row.id)).collect())
}

/// Returns how many bill numbers are missing, by year.
pub(in crate::billing) async fn missing_numbers(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<(i16, i64)>> {
    let rows = sqlx::query!(
        r#"select year, max(sequence) - count(*) as "missing!" from bill_number
           group by year having max(sequence) <> count(*) order by year"#
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.year, row.missing)).collect())
}
