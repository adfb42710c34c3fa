//! A bill as the export reads it.

use chrono::{DateTime, Utc};

use super::bill::BillVat;
use crate::money::amount::Amount;

/// A bill with the fields that accounting needs.
#[derive(Debug)]
pub(super) struct ExportedBill {
    pub bill_id: i64,
    /// The year and the sequence of the bill's number.
    pub place: (i16, i32),
    pub number: String,
    pub document: String,
    pub issued_at: DateTime<Utc>,
    pub user_id: i64,
    pub username: String,
    pub name: String,
    pub company: Option<String>,
    pub country: String,
    pub vat_number: Option<String>,
    pub currency: String,
    pub net: Amount,
    pub tax: Amount,
    pub gross: Amount,
    pub rounding: Amount,
    pub amount_due: Amount,
    pub vat: Vec<BillVat>,
}
