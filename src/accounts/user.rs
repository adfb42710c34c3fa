//! A user as the API shows it.

use chrono::{DateTime, Utc};
use poem_openapi::{Object, types::ToJSON as _};
use serde_json::Value;

use crate::http::Representation;

/// A user with the limits that staff set.
#[derive(Debug, Object)]
#[oai(rename = "User", skip_serializing_if_is_none)]
pub struct UserBody {
    /// Identifies the user.
    pub id: i64,
    /// The user's name, in lower case.
    pub username: String,
    /// True if the user may do everything; limits do not apply to staff.
    pub staff: bool,
    /// True if staff have locked the user. A user who is locked in the directory can't sign in either.
    pub locked: bool,
    /// The number of networks that the user may have.
    pub vpn_quota: i32,
    /// The days in which the customer is to pay a bill; absent: the seller's terms.
    pub payment_days: Option<i16>,
    /// The time at which the user was first seen.
    pub created_at: DateTime<Utc>,
}

impl Representation for UserBody {
    fn representation(self) -> Option<Value> {
        self.to_json()
    }
}
