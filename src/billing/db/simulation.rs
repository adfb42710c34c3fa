//! Rows that a simulation inserts, to be rolled back.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sqlx::PgConnection;

use crate::{
    billing::case_parties::{CaseCustomer, CaseSeller},
    error::Error,
    money::{country::Country, vat::CustomerKind, vat_rates::RateRow},
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

pub(in crate::billing) async fn replace_rates(tx: &mut PgConnection, rows: &[(RateRow, Tz)]) -> Result<(), Error> {
    sqlx::query!("delete from vat_rate").execute(&mut *tx).await?;
    for (row, zone) in rows {
        sqlx::query!(
            "insert into vat_rate (territory, starts_on, ends_on, rate_ppm, time_zone, source)
             values ($1, $2, $3, $4, $5, 'simulation')",
            row.territory.as_str(),
            row.from,
            row.to,
            i32::from(row.rate),
            zone.name()
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
        "insert into seller (name, street, postal_code, city, country, time_zone, oss_eu, cash_rounding_cents)
         values ('Simulation', '', '', '', $1, $2, $3, case when $4 then 5 end)",
        seller.country.as_str(),
        seller.timezone.name(),
        seller.oss_eu,
        cash_rounding
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Inserts a customer with a unique name and an address.
pub(in crate::billing) async fn insert_customer(tx: &mut PgConnection, customer: &CaseCustomer) -> sqlx::Result<i64> {
    let business = customer.kind == CustomerKind::Business;
    let vat_number = customer.vat_number();
    let verified = vat_number.is_some() && customer.is_verified();
    let user_id = sqlx::query_scalar!(
        "insert into users (username) values ('simulation-' || nextval(pg_get_serial_sequence('users', 'user_id')))
         returning user_id"
    )
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query!(
        "insert into billing_address (user_id, name, company, street, postal_code, city, country, vat_number,
             vat_verified_at, vat_evidence)
         values ($1, 'Simulation', case when $2 then 'Simulation' end, '', '', '', $3, $4,
             case when $5 then now() end, case when $5 then 'simulation' end)",
        user_id,
        business,
        Country::as_str(&customer.country),
        vat_number,
        verified
    )
    .execute(tx)
    .await?;
    Ok(user_id)
}

pub(in crate::billing) async fn simulated_order(tx: &mut PgConnection, order_id: i64) -> sqlx::Result<SimulatedOrder> {
    sqlx::query_as!(
        SimulatedOrder,
        "select starts_at, billing_ends_at, billed_through, void, closed,
                (select sum(net_cents) from bill_record where bill_record.order_id = orders.order_id)::bigint as net_cents
         from orders where order_id = $1",
        order_id
    )
    .fetch_one(tx)
    .await
}
