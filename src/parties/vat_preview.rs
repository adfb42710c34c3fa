//! Previews the VAT of a product that is not ordered yet, from the same data as a run.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::taxation::{address_histories, current_vat_seller, rate_table};
use crate::{
    error::Error,
    money::{
        amount::Rate,
        language::Language,
        territory::{PostalCodeMissing, Territory},
        vat::Category,
        vat_rates::RateTableError,
        vat_text::vat_reason,
    },
};

/// The VAT that a customer's charges would have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VatPreview {
    /// The VAT category.
    pub category: Category,
    /// The territory whose rate applies; `None` without VAT.
    pub territory: Option<Territory>,
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
    /// The postal code is missing, and decides the VAT.
    #[error("the postal code of your billing address {0}; set it with PUT /v1/billing_address")]
    PostalCode(#[from] PostalCodeMissing),
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
    let Some(addresses) = address_histories(tx, &[user_id]).await?.remove(&user_id) else {
        return Ok(Err(VatUnavailable::NoBillingAddress));
    };
    let Some(seller) = current_vat_seller(&mut *tx).await? else { return Ok(Err(VatUnavailable::NoSeller)) };
    let treatment = match addresses.treatments(seller) {
        Ok(treatments) => treatments.at(at).0,
        Err(missing) => return Ok(Err(missing.into())),
    };
    let (category, territory) = (treatment.category(), treatment.territory());
    let country = addresses.current().address.country;
    Ok(match treatment.rate_at(&rate_table(tx).await?, at) {
        Ok(rate) => {
            let reason = vat_reason(Language::En, treatment, rate, country, seller.is_registered());
            Ok(VatPreview { category, territory, rate, reason })
        }
        Err(error) => Err(error.into()),
    })
}
