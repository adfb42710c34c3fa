//! Users and their names.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};

/// A user of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Identifies the user.
    pub user_id: i64,
    /// The user name, in lower case.
    pub username: String,
    /// True for a member of staff, who may do everything: made staff manually, or in the directory's staff group at the
    /// last login.
    pub staff: bool,
    /// The time at which the user was first recorded.
    pub created_at: DateTime<Utc>,
}

/// A user name: lower case, as LDAP compares uids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

/// The error of a text that is not a user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a user name must be 1 to 64 letters, digits or . _ @ -, and start with a letter or digit")]
pub struct UsernameError;

impl Username {
    /// Returns the name as it is stored.
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
    fn parse_folds_case_and_refuses_special_characters() {
        assert_eq!("NicoCustomer".parse::<Username>().expect("valid").as_str(), "nicocustomer");
        for wrong in ["", "-a", ".a", "a b", "a)(uid=*", "a\n", "ä", &"a".repeat(65)] {
            assert_eq!(wrong.parse::<Username>(), Err(UsernameError), "{wrong:?}");
        }
    }
}
