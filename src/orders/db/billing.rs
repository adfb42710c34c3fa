//! The queries of bill runs on orders.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::OrderRow;
use crate::{
    error::Error,
    money::{
        Order,
        amount::Amount,
        charge::{BillingMode, UpgradeCredit},
        draft::CursorUpdate,
        period::Unit,
    },
};

/// Returns the open orders of these customers with billable items.
pub async fn due(tx: &mut PgConnection, users: &[i64], as_of: DateTime<Utc>) -> Result<Vec<Order>, Error> {
    let rows = sqlx::query_as!(
        OrderRow,
        r#"select order_id, user_id, currency, one_time_cents as "one_time: Amount", recurring_cents as "recurring: Amount",
                  period_unit as "period_unit: Unit", period_count, billing_mode as "billing_mode: BillingMode", commitment_periods,
                  upgrade_credit as "upgrade_credit: UpgradeCredit", time_zone, starts_at, billing_ends_at, replaces, void,
                  billed_through, one_time_billed
           from orders where user_id = any($1) and not closed and due_at <= $2"#,
        users,
        as_of
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(Order::try_from).collect::<Result<_, _>>()?)
}

/// Moves the billing cursors of orders. Writes nothing at all if one of them has moved since it was read.
pub async fn move_cursors<'a>(
    tx: &mut PgConnection,
    moved: impl Iterator<Item = &'a CursorUpdate> + Clone,
) -> Result<(), Error> {
    let moved = || moved.clone();
    let orders: Vec<i64> = moved().map(|moved| moved.order_id).collect();
    let before: Vec<Option<DateTime<Utc>>> = moved().map(|moved| moved.before.through).collect();
    let after: Vec<Option<DateTime<Utc>>> = moved().map(|moved| moved.after.through).collect();
    let one_time: Vec<bool> = moved().map(|moved| moved.after.one_time).collect();
    let due_at: Vec<Option<DateTime<Utc>>> = moved().map(|moved| moved.due_at).collect();
    let updated = sqlx::query!(
        "update orders set billed_through = moved.after, one_time_billed = moved.one_time, due_at = moved.due_at,
             closed = moved.due_at is null
         from unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::boolean[], $5::timestamptz[])
             as moved (order_id, before, after, one_time, due_at)
         where orders.order_id = moved.order_id and billed_through is not distinct from moved.before",
        &orders,
        &before as &[Option<DateTime<Utc>>],
        &after as &[Option<DateTime<Utc>>],
        &one_time,
        &due_at as &[Option<DateTime<Utc>>],
    )
    .execute(tx)
    .await?;
    if updated.rows_affected() != orders.len() as u64 {
        return Err(anyhow::anyhow!("orders changed during the bill run although their customers were locked").into());
    }
    Ok(())
}
