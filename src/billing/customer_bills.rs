//! Generated bills that are not yet written.

use crate::money::draft::{CursorUpdate, Draft};

/// The bills of one customer, ready to be written.
pub(super) struct CustomerBills {
    pub user_id: i64,
    pub payment_days: Option<i16>,
    pub drafts: Vec<Draft>,
    /// The content of each draft, as JSON.
    pub contents: Vec<String>,
    pub cursor_updates: Vec<CursorUpdate>,
}
