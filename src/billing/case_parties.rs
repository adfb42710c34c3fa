//! The seller and the customer of a simulated case.

use chrono_tz::Tz;
use serde::Deserialize;

use crate::money::{country::Country, vat::CustomerKind};

/// The seller of a case.
#[derive(Debug, Deserialize)]
pub(in crate::billing) struct CaseSeller {
    pub country: Country,
    pub timezone: Tz,
    pub oss_eu: bool,
    /// Absent: the seller is registered for VAT, under some number; `null`: it is not.
    #[serde(default = "registered")]
    pub vat_number: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "the type of the member")]
fn registered() -> Option<String> {
    Some("CHE123456788MWST".to_owned())
}

/// The customer of a case, or a customer's new address.
#[derive(Debug, Deserialize)]
pub(in crate::billing) struct CaseCustomer {
    pub country: Country,
    /// Absent: somewhere in the country where nothing is special.
    #[serde(default = "somewhere")]
    pub postal_code: Option<String>,
    pub kind: CustomerKind,
    vat_number: Option<String>,
    vat_number_status: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "the type of the member")]
fn somewhere() -> Option<String> {
    Some("10000".to_owned())
}

impl CaseCustomer {
    /// Returns the VAT number of a business, without the separators that people write between its letters and digits.
    pub fn vat_number(&self) -> Option<String> {
        let number = self.vat_number.as_deref().filter(|_| self.kind == CustomerKind::Business)?;
        let number: String = number.chars().filter(char::is_ascii_alphanumeric).collect();
        Some(number.to_ascii_uppercase()).filter(|number| (4..=20).contains(&number.len()))
    }

    /// Returns true only for the status `verified`; every other status means that the number is not verified.
    pub fn is_verified(&self) -> bool {
        self.vat_number_status.as_deref() == Some("verified")
    }
}
