//! Generated bills that are not yet written.

use crate::money::draft::{CursorUpdate, Draft};

/// The bills of one customer, ready to be written.
pub(super) struct CustomerBills {
    pub user_id: i64,
    pub address_id: i64,
    pub drafts: Vec<Draft>,
    pub cursor_updates: Vec<CursorUpdate>,
}
