//! The correction of a VAT rate before it is ordered.

use chrono::{DateTime, Utc};

use crate::money::{
    amount::{Amount, Currency, Rate},
    territory::Territory,
};

/// A correction to be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewCorrection {
    pub user_id: i64,
    pub order_id: Option<i64>,
    pub item_id: Option<i64>,
    pub currency: Currency,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub net: Amount,
    pub territory: Territory,
    pub old_rate: Rate,
    pub new_rate: Rate,
    pub bill_id: i64,
}
