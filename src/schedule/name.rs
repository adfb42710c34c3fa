//! The names of schedules.

use std::{fmt, str::FromStr};

/// A schedule's name: a word for people and commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleName(String);

/// The error of a text that is not a schedule's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 63 lowercase letters, digits and hyphens, as in vpn-reconcile, without a hyphen at either end")]
pub struct ScheduleNameError;

impl ScheduleName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ScheduleName {
    type Err = ScheduleNameError;

    fn from_str(text: &str) -> Result<Self, ScheduleNameError> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name =
            (1..=63).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('-') && !text.ends_with('-');
        if is_name { Ok(Self(text.to_owned())) } else { Err(ScheduleNameError) }
    }
}

impl fmt::Display for ScheduleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_accepts_only_letters_digits_and_inner_hyphens() {
        for right in ["a", "vpn-reconcile", "7", &"a".repeat(63)] {
            assert_eq!(right.parse::<ScheduleName>().map(|name| name.to_string()), Ok(right.to_owned()));
        }
        for wrong in ["", "-a", "a-", "A", "a_b", "a b", "ä", &"a".repeat(64)] {
            assert_eq!(wrong.parse::<ScheduleName>(), Err(ScheduleNameError), "{wrong:?}");
        }
    }
}
