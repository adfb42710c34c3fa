//! All orders with what is billed of them.

use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt as _};
use sqlx::PgPool;

use crate::{
    billing::{
        charge::{Timing, UpgradeCredit},
        money::Amount,
        period::Unit,
    },
    orders::OrderRow,
};

/// An order and the sums of its records.
pub(in crate::billing) struct BilledOrder {
    pub order: OrderRow,
    pub due_at: Option<DateTime<Utc>>,
    /// Recurring charges less credits.
    pub net: Amount,
    /// Where they reach.
    pub covered_to: Option<DateTime<Utc>>,
}

pub(in crate::billing) fn billed_orders(pool: &PgPool) -> impl Stream<Item = sqlx::Result<BilledOrder>> + Unpin {
    sqlx::query!(
        r#"select order_id, user_id, currency, one_time_cents as "one_time: Amount", recurring_cents as "recurring: Amount",
                  period_unit as "period_unit: Unit", period_count, billing as "billing: Timing", commitment_periods,
                  upgrade_credit as "upgrade_credit: UpgradeCredit", time_zone, starts_at, billing_ends_at, replaces, void,
                  billed_through, one_time_billed, due_at, coalesce(net, 0) as "net!: Amount", covered_to
           from orders left join (
               select order_id, sum(net_cents)::bigint as net,
                      coalesce(min(span_from) filter (where kind = 'credit'), max(charge_to)) as covered_to
               from bill_record where kind in ('recurring', 'credit') group by order_id) billed using (order_id)
           order by order_id"#
    )
    .fetch(pool)
    .map(|row| {
        let row = row?;
        Ok(BilledOrder {
            due_at: row.due_at,
            net: row.net,
            covered_to: row.covered_to,
            order: OrderRow {
                order_id: row.order_id,
                user_id: row.user_id,
                currency: row.currency,
                one_time: row.one_time,
                recurring: row.recurring,
                period_unit: row.period_unit,
                period_count: row.period_count,
                billing: row.billing,
                commitment_periods: row.commitment_periods,
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
