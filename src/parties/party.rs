//! The seller and the customers' addresses, in versions that bills refer to.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::money::{
    amount::Currency,
    country::Country,
    iban::{Bic, Iban, QrIban},
    language::Language,
};

/// A customer's billing address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The name of the person.
    pub name: String,
    /// The company's name; set for businesses only.
    pub company: Option<String>,
    /// The street, with the house number if that is not apart.
    pub street: String,
    /// The postal code.
    pub postal_code: String,
    /// The city.
    pub city: String,
    /// The country.
    pub country: Country,
    /// The VAT number as [`VatNumber`](crate::money::vat_number::VatNumber) writes it.
    pub vat_number: Option<String>,
    /// The other data for bills and documents.
    pub details: AddressDetails,
}

/// The data of a customer for bills and documents besides the address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressDetails {
    /// The language of bills; `None`: the seller's.
    pub language: Option<Language>,
    /// The house number, if it is not part of the street.
    pub house_number: Option<String>,
    /// The e-mail address to which bills are sent.
    pub email: Option<String>,
    /// The customer's reference on bills.
    pub buyer_reference: Option<String>,
    /// The number of the customer's own order.
    pub order_reference: Option<String>,
    /// The address to which electronic bills are delivered.
    pub electronic_address: Option<String>,
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
    /// The terms of bills.
    pub terms: SellerTerms,
    /// The other data on documents.
    pub details: SellerDetails,
    /// True for the details of nobody, which a new installation starts with. Nothing is billed in their name.
    pub is_placeholder: bool,
}

/// The terms of bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SellerTerms {
    /// The language of bills to customers who have chosen none.
    pub language: Language,
    /// The days in which a bill is to be paid.
    pub payment_days: i16,
    /// The day of the month on which all customers are billed; none: each order on its own day.
    pub billing_day: Option<i16>,
    /// Bills orders in advance when they are placed.
    pub bill_at_order: bool,
}

impl Default for SellerTerms {
    fn default() -> Self {
        Self { language: Language::En, payment_days: 30, billing_day: None, bill_at_order: false }
    }
}

/// The data of the seller on documents besides its address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SellerDetails {
    pub house_number: Option<String>,
    pub registration_number: Option<String>,
    pub oss_number: Option<String>,
    pub electronic_address: Option<String>,
    pub contact_name: Option<String>,
    pub contact_phone: Option<String>,
    pub contact_email: Option<String>,
    pub footer: Option<String>,
    /// The accounts, at most one for each currency.
    pub accounts: Vec<Account>,
}

/// A bank account of the seller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    pub currency: Currency,
    pub iban: Iban,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qr_iban: Option<QrIban>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bic: Option<Bic>,
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
            terms: SellerTerms::default(),
            details: SellerDetails::default(),
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
