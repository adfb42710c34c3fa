//! Passwords.

use poem_openapi::registry::MetaSchema;
use serde_json::Value;
use uncloud_wire::Secret;

use super::{Scalar, scalar};

/// A text without control characters, of `MIN` to `MAX` characters, that is or becomes a password.
#[derive(Debug, Clone)]
pub struct PasswordText<const MIN: usize, const MAX: usize>(pub Secret<String>);

impl<const MIN: usize, const MAX: usize> Scalar for PasswordText<MIN, MAX> {
    const IS_INLINE: bool = true;

    fn component() -> String {
        format!("Password{MIN}To{MAX}")
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            pattern: Some(r"^[^\x00-\x1f\x7f-\x9f]*$".to_owned()),
            min_length: Some(MIN),
            max_length: Some(MAX),
            write_only: true,
            example: Some("correct horse battery".into()),
            ..MetaSchema::new_with_format("string", "password")
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("must be a string")?;
        let length = text.chars().count();
        if text.chars().any(char::is_control) {
            Err("must not contain control characters".to_owned())
        } else if (MIN..=MAX).contains(&length) {
            Ok(Self(Secret::new(text.to_owned())))
        } else {
            Err(format!("has {length} characters; it needs at least {MIN} and at most {MAX}"))
        }
    }
}
scalar!([const MIN: usize, const MAX: usize] PasswordText<MIN, MAX>);
