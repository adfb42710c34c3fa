//! Users and their names.

use std::{fmt, str::FromStr};

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

/// A user name: lower case, as LDAP compares uids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

/// Why a text is no user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a user name has 1 to 64 letters, digits or . _ @ -, and starts with a letter or digit")]
pub struct UsernameError;

impl Username {
    /// The name as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = UsernameError;

    fn from_str(text: &str) -> Result<Self, UsernameError> {
        let name = text.to_ascii_lowercase();
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let allowed = |byte: u8| word(byte) || b"._@-".contains(&byte);
        if (1..=64).contains(&name.len()) && name.bytes().all(allowed) && name.bytes().next().is_some_and(word) {
            Ok(Self(name))
        } else {
            Err(UsernameError)
        }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_what_could_be_code_is_refused() {
        assert_eq!("NicoCustomer".parse::<Username>().expect("valid").as_str(), "nicocustomer");
        for wrong in ["", "-a", ".a", "a b", "a)(uid=*", "a\n", "ä", &"a".repeat(65)] {
            assert_eq!(wrong.parse::<Username>(), Err(UsernameError), "{wrong:?}");
        }
    }
}
