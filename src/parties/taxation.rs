//! The data of the seller and of customers that determines the VAT.

use std::collections::HashMap;

use sqlx::{PgConnection, PgExecutor};

use crate::{
    error::Error,
    money::{
        country::Country,
        vat::{Customer, CustomerKind, Seller, Treatment},
        vat_rates::{RateRow, RateTable},
    },
};

/// The part of a customer's address that determines the VAT.
#[derive(Debug)]
pub struct VatAddress {
    /// The customer.
    pub user_id: i64,
    /// Identifies the address.
    pub id: i64,
    /// The ISO 3166-1 alpha-2 code of the country.
    pub country: String,
    /// True if the address names a company.
    pub business: bool,
    /// True if the VAT number is verified.
    pub verified: bool,
}

/// Returns the addresses of these customers, by customer.
pub async fn vat_addresses(tx: &mut PgConnection, users: &[i64]) -> sqlx::Result<HashMap<i64, VatAddress>> {
    let rows = sqlx::query_as!(
        VatAddress,
        r#"select user_id, address_id as id, country, company is not null as "business!",
                  vat_verified_at is not null as "verified!"
           from billing_address where user_id = any($1) and replaced_at is null"#,
        users
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|address| (address.user_id, address)).collect())
}

/// Returns the current seller, as far as VAT and calendars are concerned.
pub async fn current_vat_seller(db: impl PgExecutor<'_>) -> Result<Option<Seller>, Error> {
    let row = sqlx::query!("select country, time_zone, oss_eu from seller order by seller_id desc limit 1")
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| vat_seller(&row.country, &row.time_zone, row.oss_eu)).transpose()?)
}

/// Returns a seller from the columns of its row.
pub(crate) fn vat_seller(country: &str, time_zone: &str, oss_eu: bool) -> anyhow::Result<Seller> {
    let country: Country = country.parse()?;
    let zone = time_zone.parse().map_err(|_| anyhow::anyhow!("{time_zone} is not a time zone"))?;
    Ok(Seller::new(country, zone, oss_eu)?)
}

/// Returns the table of all VAT rates.
pub async fn rate_table(tx: &mut PgConnection) -> Result<RateTable, Error> {
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

/// Returns the VAT treatment of a customer with this address.
pub(crate) fn treatment(seller: Seller, address: &VatAddress) -> Result<Treatment, Error> {
    let customer = Customer {
        country: address.country.parse().map_err(anyhow::Error::new)?,
        kind: if address.business { CustomerKind::Business } else { CustomerKind::Private },
        has_verified_number: address.verified,
    };
    Ok(Treatment::of(seller, customer))
}
