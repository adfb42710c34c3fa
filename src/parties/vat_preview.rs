//! The VAT of what is not ordered yet, from what a run would read.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::taxation::{current_vat_seller, rate_table, treatment, vat_addresses};
use crate::{
    error::Error,
    money::{
        amount::Rate,
        vat::{Category, reason},
        vat_rates::RateTableError,
    },
};

/// How a customer's charges would be taxed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VatPreview {
    /// How.
    pub category: Category,
    /// At which rate.
    pub rate: Rate,
    /// Why, for a person.
    pub reason: String,
}

/// Why the VAT can't be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VatUnknown {
    /// Whose country is not known.
    #[error("it depends on where the bills go: PUT /v1/billing_address")]
    NoBillingAddress,
    /// Nobody sells.
    #[error("the seller's details are missing; staff set them with PUT /v1/admin/seller")]
    NoSeller,
    /// No rate.
    #[error(transparent)]
    Rate(#[from] RateTableError),
}

/// The VAT of a service at that time for a customer as registered now.
pub async fn preview_vat(
    tx: &mut PgConnection,
    user_id: i64,
    at: DateTime<Utc>,
) -> Result<Result<VatPreview, VatUnknown>, Error> {
    let Some(address) = vat_addresses(tx, &[user_id]).await?.remove(&user_id) else {
        return Ok(Err(VatUnknown::NoBillingAddress));
    };
    let Some(seller) = current_vat_seller(&mut *tx).await? else { return Ok(Err(VatUnknown::NoSeller)) };
    let treatment = treatment(seller, &address)?;
    let category = treatment.category();
    Ok(match treatment.rate_at(&rate_table(tx).await?, at) {
        Ok(rate) => Ok(VatPreview { category, rate, reason: reason(category, &address.country, rate) }),
        Err(error) => Err(error.into()),
    })
}
