//! The correction of a VAT rate before it is ordered.

use chrono::{DateTime, Utc};

use crate::money::{
    amount::{Amount, Currency, Rate},
    territory::Territory,
};

/// A span on a bill, or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BilledSpan {
    pub user_id: i64,
    pub order_id: Option<i64>,
    pub item_id: Option<i64>,
    pub currency: Currency,
    pub from: DateTime<Utc>,
    /// Equal to `from` for what is charged once.
    pub to: DateTime<Utc>,
    pub net: Amount,
    pub territory: Territory,
    pub bill_id: i64,
}

/// A correction to be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NewCorrection {
    pub span: BilledSpan,
    pub old_rate: Rate,
    pub new_rate: Rate,
}
