//! A user as the API shows it.

use chrono::{DateTime, Utc};
use poem_openapi::{Object, types::ToJSON as _};
use serde_json::Value;

use crate::http::Shown;

/// A user with the limits that staff set.
#[derive(Debug, Object)]
#[oai(rename = "User")]
pub struct UserBody {
    /// Identifies the user.
    pub id: i64,
    /// Lower case.
    pub username: String,
    /// May do everything; limits do not count for staff.
    pub staff: bool,
    /// Shut out by staff. Who is locked in the directory is out too.
    pub locked: bool,
    /// Networks that the user may have.
    pub vpn_quota: i32,
    /// When the user was first seen.
    pub created_at: DateTime<Utc>,
}

impl Shown for UserBody {
    fn shown(self) -> Option<Value> {
        self.to_json()
    }
}
