//! Queries for what is due.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    error::Error,
    money::{
        amount::{Amount, Currency},
        draft::{Charged, ManualItem},
        vat::Category,
    },
};

/// Locks the customers in ascending order of id, always, so that two runs never deadlock.
pub(in crate::billing) async fn lock_customers(tx: &mut PgConnection, users: &[i64]) -> sqlx::Result<()> {
    sqlx::query!("select user_id from users where user_id = any($1) order by user_id for no key update", users)
        .fetch_all(tx)
        .await
        .map(drop)
}

/// Returns the customers that already have a bill of this second, with its currency: there cannot be a second one.
pub(in crate::billing) async fn billed_at(
    tx: &mut PgConnection,
    users: &[i64],
    as_of: DateTime<Utc>,
) -> Result<HashSet<(i64, Currency)>, Error> {
    let rows =
        sqlx::query!("select user_id, currency from bill where user_id = any($1) and issued_at = $2", users, as_of)
            .fetch_all(tx)
            .await?;
    Ok(rows.into_iter().map(|row| Ok((row.user_id, row.currency.parse()?))).collect::<anyhow::Result<_>>()?)
}

/// Returns the charges on these orders that reach past the orders' ends.
pub(in crate::billing) async fn charged_past_end(tx: &mut PgConnection, orders: &[i64]) -> Result<Vec<Charged>, Error> {
    let rows = sqlx::query!(
        r#"select order_id as "order_id!", span_from, span_to, vat_category as "category: Category", vat_rate_ppm
           from bill_record join orders using (order_id)
           where order_id = any($1) and kind = 'recurring' and charge_to > billing_ends_at
           order by order_id, span_from"#,
        orders
    )
    .fetch_all(tx)
    .await?;
    let charged = rows.into_iter().map(|row| {
        Ok(Charged {
            order_id: row.order_id,
            from: row.span_from,
            to: row.span_to,
            category: row.category,
            rate: row.vat_rate_ppm.try_into()?,
        })
    });
    Ok(charged.collect::<anyhow::Result<_>>()?)
}

/// Returns the items of staff that are on no bill, with their customers.
pub(in crate::billing) async fn open_manual_items(
    tx: &mut PgConnection,
    users: &[i64],
    as_of: DateTime<Utc>,
) -> Result<Vec<(i64, ManualItem)>, Error> {
    let rows = sqlx::query!(
        r#"select user_id, item_id, currency, net_cents as "net: Amount", service_at
           from bill_item where user_id = any($1) and not billed and voided_at is null and service_at <= $2"#,
        users,
        as_of
    )
    .fetch_all(tx)
    .await?;
    let items = rows.into_iter().map(|row| {
        let item = ManualItem {
            item_id: row.item_id,
            currency: row.currency.parse()?,
            net: row.net,
            service_at: row.service_at,
        };
        Ok((row.user_id, item))
    });
    Ok(items.collect::<anyhow::Result<_>>()?)
}
