//! What a bill run is, and how far it is.

use chrono::{DateTime, SubsecRound as _, Utc};

use crate::money::{
    amount::{Amount, AmountError},
    vat::Seller,
};

/// A run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Identifies it.
    pub run_id: i64,
    /// Bills what is due then, and is the bills' date.
    pub as_of: DateTime<Utc>,
    /// How many had something due when it began.
    pub customers: i32,
    /// Who bills.
    pub seller: Seller,
    /// Whether what is due in CHF is rounded to 0.05.
    pub cash_rounding: bool,
    /// Its bills have their numbers.
    pub ended: bool,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many had something due when it began.
    pub customers: i32,
    /// How many of them were looked at.
    pub customers_done: i32,
    /// All were.
    pub parts_done: bool,
    /// The bills have their numbers.
    pub ended: bool,
}

/// What a run came to in one currency.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Which.
    pub currency: String,
    /// How many bills.
    pub bills: i64,
    /// The sum of their nets.
    pub net: Amount,
    /// The sum of their VAT.
    pub tax: Amount,
    /// The sum of both.
    pub gross: Amount,
}

/// A run as people look at it.
#[derive(Debug, Clone)]
pub struct RunView {
    /// Identifies it.
    pub run_id: i64,
    /// Bills what was due then, and is the bills' date.
    pub as_of: DateTime<Utc>,
    /// Only this customer; none: everybody.
    pub user_id: Option<i64>,
    /// The customer's name.
    pub username: Option<String>,
    /// How many had something due when it began.
    pub customers: i32,
    /// How many were looked at.
    pub customers_done: i32,
    /// How many could not be billed.
    pub problems: i64,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When its bills had their numbers.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Times of bills are whole seconds.
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
