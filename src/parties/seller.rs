//! The seller's details, which are printed on bills.

use sqlx::PgPool;

use super::{
    db,
    party::{Seller, SellerVersion},
};
use crate::{
    error::{Error, FieldError},
    http::check_if_match,
    money::{vat, vat_number::VatNumber},
};

impl Seller {
    /// Returns the details with the VAT number normalized, or all their errors.
    fn checked(mut self) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        if let Err(error) = vat::Seller::new(self.country, self.time_zone, self.vat_number.is_some(), self.oss_eu) {
            errors.push(FieldError::new("country", error.to_string()));
        }
        match self.vat_number.as_deref().map(|number| VatNumber::parse(self.country, number)).transpose() {
            Ok(number) => self.vat_number = number.map(|number| number.as_str().to_owned()),
            Err(error) => errors.push(FieldError::new("vat_number", error.to_string())),
        }
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }
}

/// Returns the current details; `None` if they are not set.
pub(super) async fn find(pool: &PgPool) -> Result<Option<SellerVersion>, Error> {
    db::seller(&mut *pool.acquire().await?).await
}

/// Sets the details for future bills.
pub(super) async fn write(pool: &PgPool, by: i64, seller: Seller) -> Result<SellerVersion, Error> {
    let seller = seller.checked().map_err(Error::Invalid)?;
    let mut tx = crate::request_context::begin(pool).await?;
    db::lock_sellers(&mut tx).await?;
    let current = db::seller(&mut tx).await?;
    check_if_match(async { current.clone().ok_or(Error::PreconditionFailed) }).await?;
    if let Some(current) = current.filter(|current| current.seller == seller) {
        return Ok(current);
    }
    let version = db::insert_seller(&mut tx, Some(by), seller).await?;
    tx.commit().await?;
    Ok(version)
}

/// Inserts placeholder details, unless there are any: without details, nothing can be ordered or billed.
pub async fn add_placeholder(pool: &PgPool) -> Result<(), Error> {
    let mut tx = crate::request_context::begin(pool).await?;
    db::lock_sellers(&mut tx).await?;
    if db::seller(&mut tx).await?.is_none() {
        db::insert_seller(&mut tx, None, Seller::placeholder()).await?;
        tx.commit().await?;
    }
    Ok(())
}
