//! Bills before they are written.

use crate::money::draft::{Draft, Moved};

/// Bills for customers, ready to be written.
pub(super) struct Drawn {
    pub user_id: i64,
    pub address_id: i64,
    pub drafts: Vec<Draft>,
    pub moved: Vec<Moved>,
}
