//! Rows that a simulation inserts, to be rolled back.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    billing::case_parties::{CaseCustomer, CaseSeller},
    error::Error,
    money::{country::Country, territory::Territory, vat::CustomerKind, vat_rates::RateRow},
};

/// An order's row after a simulation.
pub(in crate::billing) struct SimulatedOrder {
    pub starts_at: DateTime<Utc>,
    pub billing_ends_at: Option<DateTime<Utc>>,
    pub billed_through: Option<DateTime<Utc>>,
    pub void: bool,
    pub closed: bool,
    pub net_cents: Option<i64>,
}

/// Replaces the rates of a territory, or all rates.
pub(in crate::billing) async fn replace_rates(
    tx: &mut PgConnection,
    territory: Option<Territory>,
    rows: &[RateRow],
) -> Result<(), Error> {
    let territory = territory.map(String::from);
    sqlx::query!("delete from vat_rate where $1::text is null or territory = $1", territory).execute(&mut *tx).await?;
    for row in rows {
        sqlx::query!(
            "insert into vat_rate (territory, starts_on, ends_on, rate_ppm, source)
             values ($1, $2, $3, $4, 'simulation')",
            row.territory.as_str(),
            row.from,
            row.to,
            i32::from(row.rate)
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

pub(in crate::billing) async fn insert_seller(
    tx: &mut PgConnection,
    seller: &CaseSeller,
    cash_rounding: bool,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into seller (name, street, postal_code, city, country, vat_number, time_zone, oss_eu, cash_rounding_cents)
         values ('Simulation', '', '', '', $1, $2, $3, $4, case when $5 then 5 end)",
        seller.country.as_str(),
        seller.vat_number,
        seller.timezone.name(),
        seller.oss_eu,
        cash_rounding
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Inserts a customer with a unique name.
pub(in crate::billing) async fn insert_customer(tx: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "insert into users (username) values ('simulation-' || nextval(pg_get_serial_sequence('users', 'user_id')))
         returning user_id"
    )
    .fetch_one(tx)
    .await
}

/// Sets a customer's address from a time on.
pub(in crate::billing) async fn insert_address(
    tx: &mut PgConnection,
    user_id: i64,
    address: &CaseCustomer,
    since: DateTime<Utc>,
) -> sqlx::Result<()> {
    let business = address.kind == CustomerKind::Business;
    let vat_number = address.vat_number();
    let verified = vat_number.is_some() && address.is_verified();
    sqlx::query!(
        "update billing_address set replaced_at = $2 where user_id = $1 and replaced_at is null",
        user_id,
        since
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "insert into billing_address (user_id, name, company, street, postal_code, city, country, vat_number,
             vat_verified_at, vat_evidence, created_at)
         values ($1, 'Simulation', case when $2 then 'Simulation' end, '', $3, '', $4, $5,
             case when $6 then now() end, case when $6 then 'simulation' end, $7)",
        user_id,
        business,
        address.postal_code.as_deref().unwrap_or_default(),
        Country::as_str(&address.country),
        vat_number,
        verified,
        since
    )
    .execute(tx)
    .await
    .map(drop)
}

pub(in crate::billing) async fn simulated_order(tx: &mut PgConnection, order_id: i64) -> sqlx::Result<SimulatedOrder> {
    sqlx::query_as!(
        SimulatedOrder,
        "select starts_at, billing_ends_at, billed_through, void, closed,
                (select sum(net_cents) from (
                     select net_cents from bill_charge where bill_charge.order_id = orders.order_id
                     union all
                     select net_cents from bill_record where bill_record.order_id = orders.order_id) record)::bigint as net_cents
         from orders join order_cursor using (order_id) where order_id = $1",
        order_id
    )
    .fetch_one(tx)
    .await
}
