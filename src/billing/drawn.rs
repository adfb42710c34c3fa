//! Bills before they are written.

use crate::money::draft::{CursorUpdate, Draft};

/// Bills for customers, ready to be written.
pub(super) struct CustomerBills {
    pub user_id: i64,
    pub address_id: i64,
    pub drafts: Vec<Draft>,
    pub moved: Vec<CursorUpdate>,
}
