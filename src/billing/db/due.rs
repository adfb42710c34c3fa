//! What is due.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    billing::{
        charge::{Timing, UpgradeCredit},
        draft::{Charged, ManualLine},
        money::{Amount, Currency},
        period::Unit,
        vat::Category,
        vat_rates::{RateRow, RateTable},
    },
    error::Error,
    orders::{Order, OrderRow},
};

/// What of a customer's address decides the VAT.
pub(in crate::billing) struct Address {
    pub user_id: i64,
    pub id: i64,
    pub country: String,
    pub business: bool,
    pub verified: bool,
}

/// In one order everywhere, so that two runs never wait for each other.
pub(in crate::billing) async fn lock_customers(tx: &mut PgConnection, users: &[i64]) -> sqlx::Result<()> {
    sqlx::query!("select user_id from users where user_id = any($1) order by user_id for no key update", users)
        .fetch_all(tx)
        .await
        .map(drop)
}

/// Current addresses, by customer.
pub(in crate::billing) async fn addresses(tx: &mut PgConnection, users: &[i64]) -> sqlx::Result<HashMap<i64, Address>> {
    let rows = sqlx::query_as!(
        Address,
        r#"select user_id, address_id as id, country, company is not null as "business!",
                  vat_verified_at is not null as "verified!"
           from billing_address where user_id = any($1) and replaced_at is null"#,
        users
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|address| (address.user_id, address)).collect())
}

/// Who has a bill of this second already, and in which currency: there can't be a second one.
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

/// Open orders of these customers of which something is due.
pub(in crate::billing) async fn due_orders(
    tx: &mut PgConnection,
    users: &[i64],
    as_of: DateTime<Utc>,
) -> Result<Vec<Order>, Error> {
    let rows = sqlx::query_as!(
        OrderRow,
        r#"select order_id, user_id, currency, one_time_cents as "one_time: Amount", recurring_cents as "recurring: Amount",
                  period_unit as "period_unit: Unit", period_count, billing as "billing: Timing", commitment_periods,
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

/// What was charged of orders after their end.
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

/// Lines of staff that are on no bill, with their customers.
pub(in crate::billing) async fn open_manual_lines(
    tx: &mut PgConnection,
    users: &[i64],
    as_of: DateTime<Utc>,
) -> Result<Vec<(i64, ManualLine)>, Error> {
    let rows = sqlx::query!(
        r#"select user_id, line_id, currency, net_cents as "net: Amount", service_at
           from bill_manual_line where user_id = any($1) and not billed and withdrawn_at is null and service_at <= $2"#,
        users,
        as_of
    )
    .fetch_all(tx)
    .await?;
    let lines = rows.into_iter().map(|row| {
        let line = ManualLine {
            line_id: row.line_id,
            currency: row.currency.parse()?,
            net: row.net,
            service_at: row.service_at,
        };
        Ok((row.user_id, line))
    });
    Ok(lines.collect::<anyhow::Result<_>>()?)
}

/// All VAT rates.
pub(in crate::billing) async fn rates(tx: &mut PgConnection) -> Result<RateTable, Error> {
    let rows = sqlx::query!("select territory, starts_on, ends_on, rate_ppm from vat_rate").fetch_all(tx).await?;
    let rows = rows.into_iter().map(|row| {
        Ok(RateRow {
            territory: row.territory.parse()?,
            from: row.starts_on,
            to: row.ends_on,
            rate: row.rate_ppm.try_into()?,
        })
    });
    let rows: Vec<RateRow> = rows.collect::<anyhow::Result<_>>()?;
    Ok(RateTable::new(rows).map_err(anyhow::Error::new)?)
}
