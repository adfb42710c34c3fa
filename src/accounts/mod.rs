//! Users and their authentication.

mod api;
mod bearer;
mod credential_cache;
mod credentials;
mod db;
mod ldap;
mod login_name;
mod own_password;
mod password;
mod single_flight;
mod throttle;
mod token;
mod user;

pub use api::UserApi;
pub use credentials::{AccountSettings, Authenticator};
pub use db::{Change, bootstrap, change, ensure_staff_user, find, find_body, list, relink, rename};
pub use ldap::{Directory, DirectorySettings};
pub use own_password::PasswordApi;
pub use password::{NewPassword, PasswordLengthError};
pub use token::{TokenApi, db::forget_ended as forget_ended_tokens};
pub use user::UserBody;
