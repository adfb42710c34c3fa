//! The queries of bill runs on orders and their cursors.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};

use super::OrderRow;
use crate::{
    error::Error,
    money::{
        Order,
        charge::{BillingMode, UpgradeCredit},
        draft::CursorUpdate,
        language::Language,
        period::Unit,
        unit_price::UnitPrice,
    },
};

/// An order with something to bill, and what bills call it.
#[derive(Debug)]
pub struct DueOrder {
    /// The order.
    pub order: Order,
    /// The description that bills show.
    pub description: String,
    /// The description in other languages.
    pub descriptions: BTreeMap<Language, String>,
    /// The product's name; none for negotiated terms.
    pub product: Option<String>,
}

/// Returns the open orders of these customers with billable items; of these orders only, if they are given.
pub async fn due(
    tx: &mut PgConnection,
    users: &[i64],
    as_of: DateTime<Utc>,
    only: Option<&[i64]>,
) -> Result<Vec<DueOrder>, Error> {
    let rows = sqlx::query!(
        r#"select order_id, orders.user_id, currency, one_time_micros as "one_time: UnitPrice",
                  recurring_micros as "recurring: UnitPrice", period_unit as "period_unit: Unit", period_count,
                  orders.billing_mode as "billing_mode: BillingMode", commitment_periods, carried_commitment_ends_at,
                  upgrade_credit as "upgrade_credit: UpgradeCredit", time_zone, starts_at, billing_ends_at, replaces, void,
                  billed_through, one_time_billed, orders.description,
                  orders.descriptions as "descriptions: Json<BTreeMap<Language, String>>", product.name as "product?"
           from order_cursor join orders using (order_id) left join product using (product_id)
           where order_cursor.user_id = any($1) and not closed and due_at <= $2
               and ($3::bigint[] is null or order_id = any($3))"#,
        users,
        as_of,
        only
    )
    .fetch_all(tx)
    .await?;
    let orders = rows.into_iter().map(|row| {
        let order = OrderRow {
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
        };
        Ok(DueOrder {
            order: order.try_into()?,
            description: row.description,
            descriptions: row.descriptions.0,
            product: row.product,
        })
    });
    Ok(orders.collect::<anyhow::Result<_>>()?)
}

/// Returns the orders that replaced these, by the replaced order.
pub async fn successors(tx: &mut PgConnection, orders: &[i64]) -> sqlx::Result<Vec<(i64, i64)>> {
    let rows = sqlx::query!(
        r#"select replaces as "replaces!", order_id from orders where replaces = any($1) and not void"#,
        orders
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.replaces, row.order_id)).collect())
}

/// Moves the billing cursors of orders. Writes nothing at all if one of them has moved since it was read.
pub async fn move_cursors<'a>(
    tx: &mut PgConnection,
    moved: impl Iterator<Item = &'a CursorUpdate>,
) -> Result<(), Error> {
    let mut sorted: Vec<&CursorUpdate> = moved.collect();
    // By key, so that the database finds neighbours one after the other.
    sorted.sort_unstable_by_key(|moved| moved.order_id);
    let moved = || sorted.iter();
    let orders: Vec<i64> = moved().map(|moved| moved.order_id).collect();
    let before: Vec<Option<DateTime<Utc>>> = moved().map(|moved| moved.before.through).collect();
    let after: Vec<Option<DateTime<Utc>>> = moved().map(|moved| moved.after.through).collect();
    let one_time: Vec<bool> = moved().map(|moved| moved.after.one_time).collect();
    let due_at: Vec<Option<DateTime<Utc>>> = moved().map(|moved| moved.due_at).collect();
    let updated = sqlx::query!(
        "update order_cursor set billed_through = moved.after, one_time_billed = moved.one_time, due_at = moved.due_at,
             closed = moved.due_at is null
         from unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::boolean[], $5::timestamptz[])
             as moved (order_id, before, after, one_time, due_at)
         where order_cursor.order_id = moved.order_id and billed_through is not distinct from moved.before",
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
