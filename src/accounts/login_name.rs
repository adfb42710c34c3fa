//! The name that a person types to sign in.

use unicode_normalization::UnicodeNormalization as _;

use crate::{text::is_invisible, user::Username};

/// The longest name, in bytes.
const MAX_BYTES: usize = 256;

/// A typed name: a user name, or whatever else a directory finds an entry by, such as a mail address.
#[derive(Debug, Clone)]
pub(super) struct LoginName(String);

impl LoginName {
    /// Checks the length, and brings the name into one form, as directories do before they compare (RFC 4518): otherwise
    /// guesses at one user would be counted as those at many. Control characters, which no keyboard types, are refused.
    pub(super) fn new(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES || text.chars().any(char::is_control) {
            return None;
        }
        let composed: String = text.nfkc().filter(|c| !is_invisible(*c)).collect();
        let name = composed.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        (!name.is_empty()).then_some(Self(name))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_in_any_spelling_is_one() {
        for text in ["anna", " Anna ", "an\u{ad}na", "\u{ff41}nna", "anna\u{200b}"] {
            assert_eq!(LoginName::new(text).map(|name| name.0).as_deref(), Some("anna"), "{text:?}");
        }
        assert_eq!(LoginName::new("a  b").map(|name| name.0).as_deref(), Some("a b"));
        for wrong in ["", " ", "a\nb", &"x".repeat(257)] {
            assert!(LoginName::new(wrong).is_none(), "{wrong:?}");
        }
    }
}
