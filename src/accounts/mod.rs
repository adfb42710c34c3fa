//! Who is asking: users, and how they prove it.

mod api;
mod bearer;
pub mod billing;
mod credentials;
mod db;
mod ldap;
mod memory;
mod password;
mod throttle;
mod token;
mod turns;
mod username;

pub use api::{UserApi, UserBody};
pub(crate) use credentials::network_of;
pub use credentials::{AccountSettings, Authenticator};
pub use db::{Change, bootstrap, change, ensure_staff_user, find, find_body, list};
pub use ldap::{Directory, DirectorySettings};
pub use token::{Scope, Scopes, TokenApi, db::forget_ended as forget_ended_tokens};
pub use username::{Username, UsernameError};

use chrono::{DateTime, Utc};

/// Somebody who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Identifies the user.
    pub user_id: i64,
    /// Lower case.
    pub username: String,
    /// May do everything: made staff by hand, or in the directory's staff group at the last login.
    pub staff: bool,
    /// When the user was first seen.
    pub created_at: DateTime<Utc>,
}
