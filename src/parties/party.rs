//! The seller and the customers' addresses, in versions that bills refer to.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::money::country::Country;

/// A customer's billing address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub name: String,
    /// The company's name; set for businesses only.
    pub company: Option<String>,
    pub street: String,
    pub postal_code: String,
    pub city: String,
    pub country: Country,
    /// The VAT number as [`VatNumber`](crate::money::vat_number::VatNumber) writes it.
    pub vat_number: Option<String>,
}

/// The verification by staff that a VAT number is the customer's.
#[derive(Debug, Clone)]
pub(super) struct Verification {
    pub verified_at: DateTime<Utc>,
    /// The member of staff who verified the number.
    pub verified_by: Option<i64>,
    pub evidence: String,
}

/// One version of a customer's address; bills refer to it.
#[derive(Debug, Clone)]
pub(super) struct AddressVersion {
    pub address_id: i64,
    pub address: Address,
    pub verification: Option<Verification>,
    pub created_at: DateTime<Utc>,
}

/// The seller's details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seller {
    pub name: String,
    pub street: String,
    pub postal_code: String,
    pub city: String,
    pub country: Country,
    /// The VAT number as [`VatNumber`](crate::money::vat_number::VatNumber) writes it.
    pub vat_number: Option<String>,
    pub time_zone: Tz,
    /// True if the seller is registered for the EU's one-stop shop.
    pub oss_eu: bool,
    /// Rounds amounts due to 0.05.
    pub cash_rounding: bool,
    /// True for the details of nobody, which a new installation starts with. Nothing is billed in their name.
    pub is_placeholder: bool,
}

impl Seller {
    /// Details of nobody, so that orders can be tried before the provider has set its own.
    pub fn placeholder() -> Self {
        Self {
            name: "Name of the provider".to_owned(),
            street: "Street 1".to_owned(),
            postal_code: "8000".to_owned(),
            city: "Zurich".to_owned(),
            country: Country::CH,
            vat_number: None,
            time_zone: Tz::Europe__Zurich,
            oss_eu: false,
            cash_rounding: false,
            is_placeholder: true,
        }
    }
}

/// One version of the seller's details; bills refer to it.
#[derive(Debug, Clone)]
pub(super) struct SellerVersion {
    pub seller_id: i64,
    pub seller: Seller,
    pub created_at: DateTime<Utc>,
}
