//! A user as the API shows it.

use chrono::{DateTime, Utc};
use poem_openapi::{Object, types::ToJSON as _};
use serde_json::Value;

use crate::http::Shown;

/// A user with the limits that staff set.
#[derive(Debug, Object)]
#[oai(rename = "User")]
pub(super) struct UserBody {
    /// Identifies the user.
    pub(super) id: i64,
    /// Lower case.
    pub(super) username: String,
    /// May do everything; limits do not count for staff.
    pub(super) staff: bool,
    /// Shut out by staff. Who is locked in the directory is out too.
    pub(super) locked: bool,
    /// Networks that the user may have.
    pub(super) vpn_quota: i32,
    /// When the user was first seen.
    pub(super) created_at: DateTime<Utc>,
}

impl Shown for UserBody {
    fn shown(self) -> Option<Value> {
        self.to_json()
    }
}
