//! The seller's details, which are printed on bills.

use std::collections::HashSet;

use chrono_tz::Tz;
use sqlx::{PgConnection, PgPool};

use super::{
    address::{electronic_address_error, email_error},
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
        errors.extend(email_error("contact_email", self.details.contact_email.as_deref()));
        errors.extend(electronic_address_error(self.details.electronic_address.as_deref()));
        let mut currencies = HashSet::new();
        for (index, account) in self.details.accounts.iter().enumerate() {
            if !currencies.insert(account.currency) {
                let error = FieldError::new("currency", "is given twice; remove one of the accounts");
                errors.push(error.inside(&index.to_string()).inside("accounts"));
            }
        }
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }
}

/// Returns the current details; `None` if they are not set.
pub(super) async fn find(pool: &PgPool) -> Result<Option<SellerVersion>, Error> {
    db::seller(&mut *pool.acquire().await?).await
}

/// Returns the seller's time zone, and the day of the month on which all customers are billed, if there is one; `None`
/// without a seller.
pub(crate) async fn billing_day(tx: &mut PgConnection) -> Result<Option<(Tz, Option<u32>)>, Error> {
    let seller = db::seller(tx).await?.map(|version| version.seller);
    Ok(seller.map(|seller| (seller.time_zone, seller.terms.billing_day.and_then(|day| u32::try_from(day).ok()))))
}

/// Returns true if orders in advance are billed when they are placed.
pub(crate) async fn bills_at_order(tx: &mut PgConnection) -> Result<bool, Error> {
    Ok(db::seller(tx).await?.is_some_and(|version| version.seller.terms.bill_at_order))
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
