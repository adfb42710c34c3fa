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
mod user;

pub use api::UserApi;
pub(crate) use credentials::network_of;
pub use credentials::{AccountSettings, Authenticator};
pub use db::{Change, bootstrap, change, ensure_staff_user, find, find_body, list};
pub use ldap::{Directory, DirectorySettings};
pub use token::{TokenApi, db::forget_ended as forget_ended_tokens};
pub use user::UserBody;
