//! A bill as the export reads it.

use chrono::{Days, NaiveDate};

use super::{bill::BillVat, content::Party};
use crate::money::amount::Amount;

/// A bill with the fields that accounting needs.
#[derive(Debug)]
pub(super) struct ExportedBill {
    pub bill_id: i64,
    /// The year and the sequence of the bill's number.
    pub place: (i16, i32),
    pub number: String,
    pub issue_date: NaiveDate,
    pub payment_days: Option<i16>,
    pub user_id: i64,
    pub username: String,
    /// The customer as on the bill.
    pub customer: Party,
    pub currency: String,
    pub net: Amount,
    pub tax: Amount,
    pub gross: Amount,
    pub rounding: Amount,
    pub amount_due: Amount,
    pub vat: Vec<BillVat>,
}

impl ExportedBill {
    /// Returns the day until which the bill is to be paid.
    pub fn due_date(&self) -> Option<NaiveDate> {
        self.issue_date.checked_add_days(Days::new(u64::try_from(self.payment_days?).ok()?))
    }
}
