//! A bill run and its progress.

use chrono::{DateTime, SubsecRound as _, Utc};

use crate::money::{
    amount::{Amount, AmountError},
    language::Language,
    vat::Seller,
};

/// A bill run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Identifies the run.
    pub run_id: i64,
    /// The time up to which the run bills what is due.
    pub as_of: DateTime<Utc>,
    /// The number of customers with something due when the run started.
    pub customers: i32,
    /// The seller's country, time zone and OSS registration, and VAT registration, which determine the VAT.
    pub seller: Seller,
    /// Rounds amounts due in CHF to 0.05.
    pub cash_rounding: bool,
    /// The language of bills to customers who have chosen none.
    pub language: Language,
    /// The days in which bills are to be paid, for customers without terms of their own.
    pub payment_days: i16,
    /// True once the run's bills have their numbers.
    pub ended: bool,
    /// True once staff have aborted the run.
    pub aborted: bool,
}

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The number of customers with something due when the run started.
    pub customers: i32,
    /// The number of customers that the run has processed.
    pub customers_done: i32,
    /// True once all parts of the run are done.
    pub parts_done: bool,
    /// True once the bills have their numbers.
    pub ended: bool,
}

/// The totals of a run in one currency.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The currency of the totals.
    pub currency: String,
    /// The number of bills.
    pub bills: i64,
    /// The sum of the bills' nets.
    pub net: Amount,
    /// The sum of the bills' VAT.
    pub tax: Amount,
    /// The sum of net and VAT.
    pub gross: Amount,
}

/// A run as the API shows it.
#[derive(Debug, Clone)]
pub struct RunView {
    /// Identifies the run.
    pub run_id: i64,
    /// The time up to which the run billed what was due.
    pub as_of: DateTime<Utc>,
    /// The only customer that the run bills; `None`: all customers.
    pub user_id: Option<i64>,
    /// The customer's name.
    pub username: Option<String>,
    /// The number of customers with something due when the run started.
    pub customers: i32,
    /// The number of customers that the run has processed.
    pub customers_done: i32,
    /// The number of customers that the run could not bill.
    pub problems: i64,
    /// The time at which the run started.
    pub started_at: DateTime<Utc>,
    /// The time at which the run's bills got their numbers, or at which it was aborted.
    pub finished_at: Option<DateTime<Utc>>,
    /// The time at which staff aborted the run: its bills were undone.
    pub aborted_at: Option<DateTime<Utc>>,
}

/// Truncates a time to whole seconds, as all times on bills are.
pub fn second(t: DateTime<Utc>) -> DateTime<Utc> {
    t.trunc_subsecs(0)
}

impl Summary {
    pub(super) fn add(&mut self, other: &Self) -> Result<(), AmountError> {
        self.bills += other.bills;
        self.net = self.net.try_add(other.net)?;
        self.tax = self.tax.try_add(other.tax)?;
        self.gross = self.gross.try_add(other.gross)?;
        Ok(())
    }
}
