//! Bills as the API and the command line show them. The fields of a record suffice to recompute its amounts.

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::content::{Content, Party, RecordKind};
use crate::money::{
    amount::{Amount, Currency, Rate},
    period::Position,
    unit_price::UnitPrice,
    vat::Category,
};

/// A bill without its lines.
#[derive(Debug, Clone)]
pub struct Bill {
    /// Identifies the bill.
    pub bill_id: i64,
    /// The bill's number, gapless in each year; `None` until its run has ended.
    pub number: Option<String>,
    /// The civil date at the seller's place on which the bill got its number.
    pub issue_date: Option<NaiveDate>,
    /// The days in which the bill is to be paid; `None` if it names none.
    pub payment_days: Option<i16>,
    /// The customer.
    pub user_id: i64,
    /// The customer's name.
    pub username: String,
    /// The time up to which everything due is billed.
    pub as_of: DateTime<Utc>,
    /// The currency of all amounts, an ISO 4217 code.
    pub currency: String,
    /// The VAT category; `None`: a bill of an earlier version with several.
    pub category: Option<Category>,
    /// The territory whose rates apply.
    pub territory: Option<String>,
    /// The total before VAT.
    pub net: Amount,
    /// The total VAT.
    pub tax: Amount,
    /// The total with VAT.
    pub gross: Amount,
    /// The amount that rounding to the smallest coin adds.
    pub rounding: Amount,
    /// The amount to be paid; negative: to be paid back.
    pub amount_due: Amount,
}

impl Bill {
    /// Returns `invoice`, or `credit_note` if the bill is negative.
    pub fn document(&self) -> &'static str {
        document(self.gross)
    }

    /// Returns the day until which the bill is to be paid.
    pub fn due_date(&self) -> Option<NaiveDate> {
        let days = u64::try_from(self.payment_days?).ok()?;
        self.issue_date?.checked_add_days(Days::new(days))
    }
}

/// The number of a bill, as in 2026-000042.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BillNumber {
    /// The year of issue.
    pub year: i16,
    /// The place in that year, from 1.
    pub sequence: i32,
}

/// The error for a text that is not the number of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the number of a bill, such as 2026-000042")]
pub struct BillNumberError;

impl std::fmt::Display for BillNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{:06}", self.year, self.sequence)
    }
}

impl std::str::FromStr for BillNumber {
    type Err = BillNumberError;

    fn from_str(text: &str) -> Result<Self, BillNumberError> {
        let (year, sequence) = text.split_once('-').ok_or(BillNumberError)?;
        let is_number = |text: &str, length| text.len() >= length && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(year, 4) || !is_number(sequence, 6) {
            return Err(BillNumberError);
        }
        let year = year.parse().map_err(|_| BillNumberError)?;
        Ok(Self { year, sequence: sequence.parse().map_err(|_| BillNumberError)? })
    }
}

/// Returns `invoice`, or `credit_note` for a negative total.
pub fn document(gross: Amount) -> &'static str {
    if gross < Amount::ZERO { "credit_note" } else { "invoice" }
}

/// A record: what a bill charges for one order over one span.
#[derive(Debug, Clone)]
pub struct BillRecord {
    /// The bill that the record is on.
    pub bill_id: i64,
    /// The kind of the record.
    pub kind: RecordKind,
    /// The order that the record charges for; `None` for an item of staff.
    pub order_id: Option<i64>,
    /// The first second of the span.
    pub from: DateTime<Utc>,
    /// The first second after the span.
    pub to: DateTime<Utc>,
    /// The order's periods up to the span's first second, and the length of the running one; `None` for what is charged
    /// once.
    pub position: Option<Position>,
    /// The price of one period, or of what is charged once.
    pub unit_price: UnitPrice,
    /// The amount before VAT.
    pub net: Amount,
    /// The VAT category.
    pub category: Category,
    /// The territory whose rate applies.
    pub territory: Option<String>,
    /// The VAT rate.
    pub rate: Rate,
    /// The bill that the record corrects.
    pub corrects: Option<i64>,
}

impl BillRecord {
    /// Returns the length of the span in seconds.
    pub fn secs(&self) -> i64 {
        self.to.timestamp() - self.from.timestamp()
    }
}

/// The VAT group of a bill: all records of one rate.
#[derive(Debug, Clone)]
pub struct BillVat {
    /// The bill that the group is on.
    pub bill_id: i64,
    /// The VAT category.
    pub category: Category,
    /// The territory whose rate applies.
    pub territory: Option<String>,
    /// The VAT rate.
    pub rate: Rate,
    /// The sum of the records' nets.
    pub taxable_amount: Amount,
    /// The VAT on the taxable amount, rounded once.
    pub tax_amount: Amount,
}

/// A bill with its records.
#[derive(Debug, Clone)]
pub struct WholeBill {
    /// The bill itself.
    pub bill: Bill,
    /// The seller.
    pub seller: Party,
    /// The bill's content besides its totals.
    pub content: Content,
    /// The records, ordered by order and time.
    pub records: Vec<BillRecord>,
    /// The VAT groups, ordered by rate.
    pub vat: Vec<BillVat>,
}

/// A filter for bills; fields that are set must all match.
#[derive(Debug, Clone, Default)]
pub struct BillFilter {
    /// The customer's id.
    pub user_id: Option<i64>,
    /// The customer's name.
    pub username: Option<String>,
    /// The run's id.
    pub run_id: Option<i64>,
    /// The currency.
    pub currency: Option<Currency>,
    /// The earliest issue date.
    pub from: Option<NaiveDate>,
    /// The date before which a bill must have been issued.
    pub to: Option<NaiveDate>,
    /// Includes drafts, which have no number yet.
    pub drafts: bool,
}
