//! Who is asking: users, and how they prove it.

mod api;
mod bearer;
mod credentials;
mod db;
mod ldap;
mod memory;
mod password;
mod throttle;
mod token;
mod turns;

pub use api::UserApi;
pub(crate) use credentials::network_of;
pub use credentials::{AccountSettings, Authenticator};
pub use db::{Change, Listed, bootstrap, change, ensure_staff_user, find, find_listed, list};
pub use ldap::{Directory, DirectorySettings};
pub use token::{TokenApi, db::forget_ended as forget_ended_tokens};
