//! The name that a person types to sign in.

use crate::user::Username;

/// The longest name, in bytes.
const MAX_BYTES: usize = 256;

/// A typed name: a user name, or whatever else a directory finds an entry by, such as a mail address.
#[derive(Debug, Clone)]
pub(super) struct LoginName(String);

impl LoginName {
    /// Checks the length. Control characters, which no keyboard types, are refused.
    pub(super) fn new(text: &str) -> Option<Self> {
        let is_possible = (1..=MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        is_possible.then(|| Self(text.to_lowercase()))
    }

    /// Returns the name in lower case.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the user name, if it is one.
    pub(super) fn username(&self) -> Option<Username> {
        self.0.parse().ok()
    }
}
