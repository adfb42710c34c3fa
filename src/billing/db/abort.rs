//! The undoing of a run.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::due::lock_customers;
use crate::{
    error::Error,
    money::{Billed, draft::CursorUpdate},
    orders,
};

/// Marks a run as aborted, and its parts as done; returns false if the run has ended. Waits for the batches at work.
pub(in crate::billing) async fn abort(tx: &mut PgConnection, run_id: i64, by: Option<i64>) -> sqlx::Result<bool> {
    let aborted = sqlx::query!(
        "update bill_run set finished_at = now(), aborted_at = now(), aborted_by = $2
         where run_id = $1 and finished_at is null",
        run_id,
        by
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("update bill_run_part set done = true where run_id = $1", run_id).execute(tx).await?;
    Ok(aborted.rows_affected() == 1)
}

/// Undoes the bills of the next customers of an aborted run, with the cursors that they moved; returns the number of
/// bills.
pub(in crate::billing) async fn undo_customers(tx: &mut PgConnection, run_id: i64, limit: i64) -> Result<usize, Error> {
    let users = sqlx::query_scalar!(
        "select user_id from bill where run_id = $1 group by user_id order by user_id limit $2",
        run_id,
        limit
    )
    .fetch_all(&mut *tx)
    .await?;
    lock_customers(tx, &users).await?;
    let bills = sqlx::query_scalar!("select bill_id from bill where run_id = $1 and user_id = any($2)", run_id, &users)
        .fetch_all(&mut *tx)
        .await?;
    restore_cursors(tx, &bills).await?;
    for statement in [
        "update bill_item set billed = false
         where item_id in (select item_id from bill_record where bill_id = any($1) and kind = 'manual')",
        "update rate_correction set billed = false
         where correction_id in (select correction_id from bill_record where bill_id = any($1) and kind = 'correction')",
        "delete from bill_vat where bill_id = any($1)",
        "delete from bill_record where bill_id = any($1)",
        "delete from bill_charge where bill_id = any($1)",
        "delete from bill where bill_id = any($1)",
    ] {
        sqlx::query(statement).bind(&bills).execute(&mut *tx).await?;
    }
    Ok(bills.len())
}

/// Moves the cursors of the orders on these bills back to where they were: to the begin of the first charge, or to the
/// end of what was credited.
async fn restore_cursors(tx: &mut PgConnection, bills: &[i64]) -> Result<(), Error> {
    let rows = sqlx::query!(
        r#"select order_id as "order_id!", min(charge_from) as charge_from, max(credit_to) as credit_to,
                  bool_or(is_once) as "is_once!"
           from (
               select order_id, charge_from, null::timestamptz as credit_to, false as is_once
               from bill_charge where bill_id = any($1)
               union all
               select order_id, null, case kind when 'credit' then span_to end, kind = 'one_time'
               from bill_record where bill_id = any($1) and kind in ('credit', 'one_time')) part
           group by order_id order by order_id"#,
        bills
    )
    .fetch_all(&mut *tx)
    .await?;
    let order_ids: Vec<i64> = rows.iter().map(|row| row.order_id).collect();
    let mut moved = Vec::with_capacity(rows.len());
    for (row, mut order) in rows.into_iter().zip(orders::read_all(tx, &order_ids).await?) {
        let before = order.billed;
        let from: Option<DateTime<Utc>> = row.charge_from.filter(|from| *from > order.starts_at);
        let through = match (row.charge_from, row.credit_to) {
            (Some(_), _) => from,
            (None, Some(credited)) => Some(credited),
            (None, None) => before.through,
        };
        order.billed = Billed { through, one_time: before.one_time && !row.is_once };
        moved.push(CursorUpdate { order_id: row.order_id, before, after: order.billed, due_at: order.due_at() });
    }
    orders::move_cursors(tx, moved.iter()).await
}
