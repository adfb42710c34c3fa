//! Passwords.

use poem_openapi::registry::MetaSchema;
use serde_json::Value;
use uncloud_wire::Secret;

use super::{Scalar, scalar};

/// A text that may be a password.
#[derive(Debug, Clone)]
pub struct PasswordText(pub Secret<String>);

impl Scalar for PasswordText {
    const IS_INLINE: bool = true;

    fn component() -> String {
        "Password".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            min_length: Some(1),
            max_length: Some(1024),
            write_only: true,
            example: Some("correct horse battery".into()),
            ..MetaSchema::new_with_format("string", "password")
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let text = value.as_str().filter(|text| (1..=1024).contains(&text.len()));
        text.map(|text| Self(Secret::new(text.to_owned())))
            .ok_or_else(|| "must be a text of 1 to 1024 bytes".to_owned())
    }
}
scalar!([] PasswordText);
