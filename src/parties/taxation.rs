//! The data of the seller and of customers that determines the VAT.

use std::collections::HashMap;

use chrono::{DateTime, SubsecRound as _, Utc};
use sqlx::{PgConnection, PgExecutor};

use super::party::{Address, AddressDetails};
use crate::{
    error::Error,
    money::{
        country::Country,
        language::Language,
        territory::{PostalCodeMissing, area},
        vat::{Customer, CustomerKind, Seller, Treatment, TreatmentHistory},
        vat_rates::{RateRow, RateTable},
    },
};

/// One version of a customer's address, as printed on bills, and what determines the VAT besides.
#[derive(Debug, Clone)]
pub struct BillingAddress {
    /// The address.
    pub address: Address,
    /// The customer's own terms of payment.
    pub payment_days: Option<i16>,
    /// True if the VAT number is verified.
    verified: bool,
    /// The time since which this version applies.
    since: DateTime<Utc>,
}

impl BillingAddress {
    /// Returns the VAT treatment of a customer with this address.
    fn treatment(&self, seller: Seller) -> Result<Treatment, PostalCodeMissing> {
        let area = area(self.address.country, &self.address.postal_code)?;
        let kind = if self.address.company.is_some() { CustomerKind::Business } else { CustomerKind::Private };
        Ok(Treatment::of(seller, Customer { area, kind, has_verified_number: self.verified }))
    }
}

/// All versions of a customer's address, the oldest first; at least one.
#[derive(Debug, Clone)]
pub struct AddressHistory(Vec<BillingAddress>);

impl AddressHistory {
    /// Returns the address of the next bill.
    pub fn current(&self) -> &BillingAddress {
        self.0.last().expect("a customer without an address has no history")
    }

    /// Returns the last address with a VAT treatment; the current one if none has it any more.
    pub fn taxed_as(&self, treatment: Treatment, seller: Seller) -> &Address {
        let taxed = self.0.iter().rev().find(|version| version.treatment(seller) == Ok(treatment));
        &taxed.unwrap_or(self.current()).address
    }

    /// Returns the VAT treatments over time. A version whose postal code is missing counts as the one that corrected it: the
    /// next one in the same country.
    pub fn treatments(&self, seller: Seller) -> Result<TreatmentHistory, PostalCodeMissing> {
        let treatment = |(index, version): (usize, &BillingAddress)| {
            let known = version.treatment(seller);
            let mut later = self.0[index + 1..].iter().filter(|later| later.address.country == version.address.country);
            let treatment =
                known.or_else(|missing| later.find_map(|later| later.treatment(seller).ok()).ok_or(missing))?;
            Ok((version.since.trunc_subsecs(0), treatment))
        };
        let versions: Vec<_> = self.0.iter().enumerate().map(treatment).collect::<Result<_, _>>()?;
        Ok(TreatmentHistory::new(versions).expect("an address"))
    }
}

/// Returns the addresses of these customers over time, by customer.
pub async fn address_histories(tx: &mut PgConnection, users: &[i64]) -> Result<HashMap<i64, AddressHistory>, Error> {
    let rows = sqlx::query!(
        r#"select user_id, name, company, street, postal_code, city, country, vat_number, house_number, email,
                  language as "language: Language", buyer_reference, order_reference, electronic_address, payment_days,
                  vat_verified_at is not null as "verified!", address.created_at
           from billing_address address join users using (user_id)
           where user_id = any($1) order by user_id, address_id"#,
        users
    )
    .fetch_all(tx)
    .await?;
    let mut histories: HashMap<i64, AddressHistory> = HashMap::with_capacity(users.len());
    for row in rows {
        let address = BillingAddress {
            address: Address {
                name: row.name,
                company: row.company,
                street: row.street,
                postal_code: row.postal_code,
                city: row.city,
                country: row.country.parse().map_err(anyhow::Error::new)?,
                vat_number: row.vat_number,
                details: AddressDetails {
                    language: row.language,
                    house_number: row.house_number,
                    email: row.email,
                    buyer_reference: row.buyer_reference,
                    order_reference: row.order_reference,
                    electronic_address: row.electronic_address,
                },
            },
            payment_days: row.payment_days,
            verified: row.verified,
            since: row.created_at,
        };
        histories.entry(row.user_id).or_insert_with(|| AddressHistory(Vec::new())).0.push(address);
    }
    Ok(histories)
}

/// Returns the current seller, as far as VAT and calendars are concerned.
pub async fn current_vat_seller(db: impl PgExecutor<'_>) -> Result<Option<Seller>, Error> {
    let row = sqlx::query!(
        r#"select country, time_zone, vat_number is not null as "is_registered!", oss_eu
           from seller order by seller_id desc limit 1"#
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| vat_seller(&row.country, &row.time_zone, row.is_registered, row.oss_eu)).transpose()?)
}

/// Returns a seller from the columns of its row.
pub(crate) fn vat_seller(country: &str, time_zone: &str, is_registered: bool, oss_eu: bool) -> anyhow::Result<Seller> {
    let country: Country = country.parse()?;
    let zone = time_zone.parse().map_err(|_| anyhow::anyhow!("{time_zone} is not a time zone"))?;
    Ok(Seller::new(country, zone, is_registered, oss_eu)?)
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
