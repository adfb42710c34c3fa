//! Previews the VAT of a product that is not ordered yet, from the same data as a run.

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

/// The VAT that a customer's charges would have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VatPreview {
    /// The VAT category.
    pub category: Category,
    /// The VAT rate.
    pub rate: Rate,
    /// A readable reason for the VAT category.
    pub reason: String,
}

/// The reason for which the VAT cannot be determined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VatUnavailable {
    /// The customer has not set a billing address.
    #[error("it depends on your billing address; set it with PUT /v1/billing_address")]
    NoBillingAddress,
    /// The seller's details are not set.
    #[error("the seller's details are missing; staff set them with PUT /v1/admin/seller")]
    NoSeller,
    /// A VAT rate is missing.
    #[error(transparent)]
    Rate(#[from] RateTableError),
}

/// Returns the VAT of a service at time `t` for a customer as registered now.
pub async fn preview_vat(
    tx: &mut PgConnection,
    user_id: i64,
    at: DateTime<Utc>,
) -> Result<Result<VatPreview, VatUnavailable>, Error> {
    let Some(address) = vat_addresses(tx, &[user_id]).await?.remove(&user_id) else {
        return Ok(Err(VatUnavailable::NoBillingAddress));
    };
    let Some(seller) = current_vat_seller(&mut *tx).await? else { return Ok(Err(VatUnavailable::NoSeller)) };
    let treatment = treatment(seller, &address)?;
    let category = treatment.category();
    Ok(match treatment.rate_at(&rate_table(tx).await?, at) {
        Ok(rate) => Ok(VatPreview { category, rate, reason: reason(category, &address.country, rate) }),
        Err(error) => Err(error.into()),
    })
}
