//! Lines that staff add by hand.

use chrono::{DateTime, Utc};

use crate::money::amount::{Amount, Currency};

/// A line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Identifies it.
    pub item_id: i64,
    /// Whose bill it goes to.
    pub user_id: i64,
    /// As the bill calls it.
    pub description: String,
    /// Before VAT; negative in the customer's favour.
    pub net: Amount,
    /// What it is in.
    pub currency: String,
    /// Decides the VAT rate; the line is billed by the first run at or after it.
    pub service_at: DateTime<Utc>,
    /// For colleagues and auditors; not on the bill.
    pub reason: String,
    /// Who added it.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// The bill that it is on.
    pub bill_id: Option<i64>,
    /// When it was voided.
    pub voided_at: Option<DateTime<Utc>>,
    /// By whom.
    pub voided_by: Option<String>,
}

/// A line to be added.
#[derive(Debug)]
pub struct NewLine {
    /// Whose bill it goes to.
    pub user_id: i64,
    /// As the bill calls it.
    pub description: String,
    /// Before VAT; negative in the customer's favour.
    pub net: Amount,
    /// What it is in.
    pub currency: Currency,
    /// Decides the VAT rate; none: now.
    pub service_at: Option<DateTime<Utc>>,
    /// For colleagues and auditors.
    pub reason: String,
    /// Who adds it.
    pub created_by: i64,
}
