//! Customers' billing addresses.

use sqlx::PgPool;

use super::{
    db,
    party::{Address, AddressVersion, Verification},
};
use crate::{
    code::Code,
    error::{Error, FieldError},
    http::check_if_match,
    money::{
        territory::{area, country_of_vat_numbers},
        vat_number::VatNumber,
    },
};

impl Address {
    /// Returns the address with its VAT number normalized, or all its errors.
    fn checked(mut self) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        if let Some(number) = &self.vat_number {
            match VatNumber::parse(country_of_vat_numbers(self.country, &self.postal_code), number) {
                Ok(number) => self.vat_number = Some(number.as_str().to_owned()),
                Err(error) => errors.push(FieldError::new("vat_number", error.to_string())),
            }
            if self.company.is_none() {
                errors.push(FieldError::new(
                    "company",
                    "is missing: only businesses have a VAT number; set it, or omit the VAT number",
                ));
            }
        }
        errors.extend(email_error("email", self.details.email.as_deref()));
        errors.extend(electronic_address_error(self.details.electronic_address.as_deref()));
        if let Err(missing) = area(self.country, &self.postal_code) {
            errors.push(FieldError::new("postal_code", missing.to_string()));
        }
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }
}

/// Returns the error of an e-mail address. Whether it exists only a mail can tell.
pub(super) fn email_error(field: &str, email: Option<&str>) -> Option<FieldError> {
    let is_address = |text: &str| {
        text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'))
            && !text.contains(char::is_whitespace)
    };
    let wrong = email.is_some_and(|text| !is_address(text));
    wrong.then(|| FieldError::new(field, "must be an e-mail address, such as bills@example.ch"))
}

/// Returns the error of an electronic address.
pub(super) fn electronic_address_error(address: Option<&str>) -> Option<FieldError> {
    let is_address = |text: &str| {
        text.split_once(':').is_some_and(|(scheme, identifier)| {
            matches!(scheme.len(), 2..=4)
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && !identifier.is_empty()
        })
    };
    let wrong = address.is_some_and(|text| !is_address(text));
    wrong.then(|| FieldError::new("electronic_address", "must be scheme:identifier, such as 0204:991-01234-44"))
}

/// Returns the customer's address; `None` if it is not set.
pub(super) async fn find(pool: &PgPool, user_id: i64) -> Result<Option<AddressVersion>, Error> {
    db::address(&mut *pool.acquire().await?, user_id).await
}

/// Sets a customer's address. If the VAT number and the country stay the same, the verification stays; if everything
/// is the same, the version stays.
pub(super) async fn write(pool: &PgPool, user_id: i64, by: i64, address: Address) -> Result<AddressVersion, Error> {
    let address = address.checked().map_err(Error::Invalid)?;
    let mut tx = crate::request_context::begin(pool).await?;
    db::lock_user(&mut tx, user_id).await?;
    let current = db::address(&mut tx, user_id).await?;
    check_if_match(async { current.clone().ok_or(Error::PreconditionFailed) }).await?;
    let kept = match current {
        Some(current) if current.address == address => return Ok(current),
        Some(AddressVersion { address: old, verification, .. })
            if (old.country, &old.vat_number) == (address.country, &address.vat_number) =>
        {
            verification
        }
        _ => None,
    };
    let version = db::replace_address(&mut tx, user_id, by, address, kept).await?;
    tx.commit().await?;
    Ok(version)
}

/// Records that the VAT number is verified to be the customer's, and takes it into account from now on. `number` is
/// the number that was looked up, if the caller names it. Returns `None` if there is no address.
pub(super) async fn verify(
    pool: &PgPool,
    user_id: i64,
    by: i64,
    number: Option<&str>,
    evidence: String,
) -> Result<Option<AddressVersion>, Error> {
    let mut tx = crate::request_context::begin(pool).await?;
    db::lock_user(&mut tx, user_id).await?;
    let Some(current) = db::address(&mut tx, user_id).await? else { return Ok(None) };
    let Some(current_number) = current.address.vat_number.as_deref() else {
        let detail = "the billing address has no VAT number to verify";
        return Err(Error::Conflict { code: Code::NoVatNumber, detail: detail.to_owned(), field: None });
    };
    let country = country_of_vat_numbers(current.address.country, &current.address.postal_code);
    let looked_up = number.map(|number| VatNumber::parse(country, number)).transpose();
    let looked_up = looked_up.map_err(|error| Error::field("vat_number", error.to_string()))?;
    if looked_up.is_some_and(|number| number.as_str() != current_number) {
        let detail = format!("the customer's VAT number is now {current_number}; verify that one");
        return Err(Error::conflict(Code::OtherVatNumber, "vat_number", detail));
    }
    let verification =
        Verification { verified_at: crate::clock::of_transaction(&mut *tx).await?, verified_by: Some(by), evidence };
    let version = db::replace_address(&mut tx, user_id, by, current.address, Some(verification)).await?;
    tx.commit().await?;
    Ok(Some(version))
}
