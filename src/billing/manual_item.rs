//! Bill items that staff add manually.

use chrono::{DateTime, Utc};

use crate::money::amount::{Amount, Currency};

/// A bill item.
#[derive(Debug, Clone)]
pub struct BillItem {
    /// Identifies the item.
    pub item_id: i64,
    /// The customer whose bill gets the item.
    pub user_id: i64,
    /// The text on the bill.
    pub description: String,
    /// The amount before VAT; negative in the customer's favour.
    pub net: Amount,
    /// The currency of the amount.
    pub currency: String,
    /// The time of supply: determines the VAT rate, and the first run at or after it bills the item.
    pub service_at: DateTime<Utc>,
    /// A note for colleagues and auditors, not shown on the bill.
    pub reason: String,
    /// The name of the user who added the item.
    pub created_by: String,
    /// The time at which the item was added.
    pub created_at: DateTime<Utc>,
    /// The bill that the item is on; `None` until it is billed.
    pub bill_id: Option<i64>,
    /// The billed item that it reverses.
    pub reverses: Option<i64>,
    /// The time at which the item was voided.
    pub voided_at: Option<DateTime<Utc>>,
    /// The name of the user who voided the item.
    pub voided_by: Option<String>,
}

/// A bill item to be added.
#[derive(Debug)]
pub struct NewItem {
    /// The customer whose bill gets the item.
    pub user_id: i64,
    /// The text on the bill.
    pub description: String,
    /// The amount before VAT; negative in the customer's favour.
    pub net: Amount,
    /// The currency of the amount.
    pub currency: Currency,
    /// The billed item that it reverses, in whole or in part, at the VAT of that one.
    pub reverses: Option<i64>,
    /// The time of supply, which determines the VAT rate; `None`: now, or that of the reversed item.
    pub service_at: Option<DateTime<Utc>>,
    /// A note for colleagues and auditors.
    pub reason: String,
    /// The user who adds the item.
    pub created_by: i64,
}
