//! Scalars of texts written by people.

use poem_openapi::{
    registry::MetaSchema,
    types::{ParseError, ParseFromParameter, ParseResult},
};
use serde_json::Value;

use super::{Scalar, scalar, string_schema};
use crate::text::is_invisible;

/// Refuses, by its code, a character that shows nothing or changes the direction or the line of the text around it: a name
/// with one looks like another name.
fn refuse_invisible(text: &str) -> Result<(), String> {
    match text.chars().find(|c| is_invisible(*c)) {
        Some(c) => {
            Err(format!("must not contain U+{:04X}, which is invisible or changes how text is laid out", u32::from(c)))
        }
        None => Ok(()),
    }
}

/// One line of 1 to `MAX` characters, without leading or trailing spaces.
#[derive(Debug, Clone)]
pub struct Line<const MAX: usize>(pub String);

impl<const MAX: usize> Scalar for Line<MAX> {
    const IS_INLINE: bool = true;

    fn component() -> String {
        format!("Line{MAX}")
    }

    fn schema() -> MetaSchema {
        let pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$";
        MetaSchema {
            pattern: Some(pattern.to_owned()),
            min_length: Some(1),
            max_length: Some(MAX),
            ..MetaSchema::new("string")
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("must be a string")?;
        refuse_invisible(text)?;
        let fits = (1..=MAX).contains(&text.chars().count()) && text.trim() == text;
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must be one line of 1 to {MAX} characters, without leading or trailing spaces"))
        }
    }
}
scalar!([const MAX: usize] Line<MAX>);

/// A text of at most `MAX` characters, which may have several lines.
#[derive(Debug, Clone)]
pub struct Lines<const MAX: usize>(pub String);

impl<const MAX: usize> Scalar for Lines<MAX> {
    const IS_INLINE: bool = true;

    fn component() -> String {
        format!("Lines{MAX}")
    }

    fn schema() -> MetaSchema {
        let pattern = r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*$";
        MetaSchema { pattern: Some(pattern.to_owned()), max_length: Some(MAX), ..MetaSchema::new("string") }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("must be a string")?;
        refuse_invisible(text)?;
        let is_text = |character: char| character == '\n' || !character.is_control();
        if text.chars().count() <= MAX && text.chars().all(is_text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must be a text of at most {MAX} characters, without control characters except line feeds"))
        }
    }
}
scalar!([const MAX: usize] Lines<MAX>);

/// The machine-readable name of a product.
#[derive(Debug, Clone)]
pub struct ProductName(pub String);

impl Scalar for ProductName {
    fn component() -> String {
        "ProductName".into()
    }

    fn schema() -> MetaSchema {
        let description = "A product's machine-readable name; it never changes.";
        let schema = string_schema("product-name", "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "ipv6-vm", description);
        MetaSchema { min_length: Some(1), max_length: Some(63), ..schema }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("must be a string")?;
        let fits = (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-');
        let is_ours = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if fits && text.bytes().all(is_ours) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 63 lowercase letters, digits and dashes, with a letter or digit at both ends, as in ipv6-vm"
                .into())
        }
    }
}
scalar!([] ProductName);

impl ParseFromParameter for ProductName {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::parse(&text.into()).map_err(ParseError::custom)
    }
}

/// The machine-readable name of a product's parameter.
#[derive(Debug, Clone)]
pub struct ParameterName(pub String);

impl Scalar for ParameterName {
    fn component() -> String {
        "ParameterName".into()
    }

    fn schema() -> MetaSchema {
        let description = "A parameter's machine-readable name.";
        string_schema("parameter-name", "^[a-z][a-z0-9_]{0,39}$", "memory_gb", description)
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("must be a string")?;
        let is_ours = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if (1..=40).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(is_ours)
        {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 40 lowercase letters, digits and underscores, starting with a letter, as in memory_gb"
                .into())
        }
    }
}
scalar!([] ParameterName);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn line_with_break_or_outer_space_is_refused() {
        assert!(Line::<5>::parse(&json!("Zür i")).is_ok());
        for wrong in [json!(""), json!(" a"), json!("a "), json!("a\nb"), json!("a\u{0}b"), json!("123456"), json!(1)] {
            assert!(Line::<5>::parse(&wrong).is_err(), "{wrong}");
        }
        assert!(Lines::<5>::parse(&json!("a\n\nb")).is_ok() && Lines::<5>::parse(&json!("")).is_ok());
        for (wrong, named) in [
            ("a\u{200b}b", "U+200B"),
            ("a\u{202e}b", "U+202E"),
            ("a\u{2066}b", "U+2066"),
            ("a\u{2028}b", "U+2028"),
            ("\u{feff}ab", "U+FEFF"),
            ("a\u{ad}b", "U+00AD"),
            ("a\u{e0041}b", "U+E0041"),
            ("\u{3164}", "U+3164"),
        ] {
            for error in [Line::<5>::parse(&json!(wrong)).err(), Lines::<5>::parse(&json!(wrong)).err()] {
                assert!(error.as_ref().is_some_and(|error| error.contains(named)), "{wrong:?}: {error:?}");
            }
        }
        for wrong in [json!("a\tb"), json!("a\r\nb"), json!("123456"), json!(null)] {
            assert!(Lines::<5>::parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn name_with_special_characters_is_refused() {
        assert!(ProductName::parse(&json!("ipv6-vm")).is_ok() && ParameterName::parse(&json!("memory_gb")).is_ok());
        for wrong in ["", "-vm", "vm-", "VM", "v m", "v_m", "vä"] {
            assert!(ProductName::parse(&json!(wrong)).is_err(), "{wrong}");
        }
        for wrong in ["", "1a", "_a", "A", "a-b", "a b", "a/b"] {
            assert!(ParameterName::parse(&json!(wrong)).is_err(), "{wrong}");
        }
    }
}
