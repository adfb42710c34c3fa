//! Who bills and who is billed, in versions that bills refer to.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::money::country::Country;

/// Where a customer's bills go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub name: String,
    /// Set: a business.
    pub company: Option<String>,
    pub street: String,
    pub postal_code: String,
    pub city: String,
    pub country: Country,
    /// As [`VatNumber`](crate::money::vat_number::VatNumber) writes it.
    pub vat_number: Option<String>,
}

/// That staff have found a VAT number to be the customer's.
#[derive(Debug, Clone)]
pub(super) struct Verification {
    pub verified_at: DateTime<Utc>,
    /// The member of staff.
    pub verified_by: Option<i64>,
    pub evidence: String,
}

/// One row of a customer's address: bills name it.
#[derive(Debug, Clone)]
pub(super) struct AddressVersion {
    pub address_id: i64,
    pub address: Address,
    pub verification: Option<Verification>,
    pub created_at: DateTime<Utc>,
}

/// Who bills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seller {
    pub name: String,
    pub street: String,
    pub postal_code: String,
    pub city: String,
    pub country: Country,
    /// As [`VatNumber`](crate::money::vat_number::VatNumber) writes it.
    pub vat_number: Option<String>,
    pub time_zone: Tz,
    /// Registered for the EU's one-stop shop.
    pub oss_eu: bool,
    /// Whether what is due is rounded to 0.05.
    pub cash_rounding: bool,
}

/// One row of the seller's details: bills name it.
#[derive(Debug, Clone)]
pub(super) struct SellerVersion {
    pub seller_id: i64,
    pub seller: Seller,
    pub created_at: DateTime<Utc>,
}
