//! Identifiers and other whole numbers.

use poem_openapi::{
    registry::MetaSchema,
    types::{ParseError, ParseFromParameter, ParseResult},
};
use serde_json::Value;

use super::{Scalar, scalar};

/// An identifier in a path.
#[derive(Debug, Clone, Copy)]
pub struct Id(pub i64);

impl Scalar for Id {
    fn component() -> String {
        "Id".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            minimum: Some(1.0),
            example: Some(1.into()),
            description: Some("Identifies an object."),
            ..MetaSchema::new_with_format("integer", "int64")
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        value.as_i64().filter(|id| *id >= 1).map(Self).ok_or_else(|| "must be a whole number from 1".to_owned())
    }
}
scalar!([] Id);

impl ParseFromParameter for Id {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        let plain = value.bytes().all(|byte| byte.is_ascii_digit());
        let id = value.parse().ok().filter(|id| plain && *id >= 1);
        id.map(Self).ok_or_else(|| ParseError::custom("must be a whole number from 1"))
    }
}

/// A whole number from `MIN` to `MAX`. A string is accepted too, because httpie sends `key=value` as one; the document
/// only names the number, so that generated clients have a plain type.
#[derive(Debug, Clone, Copy)]
pub struct Number<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Number<MIN, MAX> {
    /// Returns the number. `MAX` must fit into `T`.
    pub fn get<T: TryFrom<u32>>(self) -> T {
        T::try_from(self.0).ok().expect("the type's bounds fit the number's use")
    }
}

impl<const MIN: u32, const MAX: u32> Scalar for Number<MIN, MAX> {
    const IS_INLINE: bool = true;

    fn component() -> String {
        format!("Number{MIN}To{MAX}")
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            minimum: Some(MIN.into()),
            maximum: Some(MAX.into()),
            ..MetaSchema::new_with_format("integer", "int32")
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let wrong = || format!("must be a whole number from {MIN} to {MAX}");
        let number = match value {
            Value::Number(number) => number.as_u64(),
            // Without sign, leading zeros or spaces: every number has exactly one written form.
            Value::String(text) => text.parse::<u64>().ok().filter(|number| number.to_string() == *text),
            _ => None,
        };
        let number = number.and_then(|number| u32::try_from(number).ok());
        number.filter(|number| (MIN..=MAX).contains(number)).map(Self).ok_or_else(wrong)
    }
}
scalar!([const MIN: u32, const MAX: u32] Number<MIN, MAX>);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn number_in_unusual_notation_is_refused() {
        let parse = |value: Value| Number::<1, 128>::parse(&value).map(Number::get::<u8>).ok();
        assert_eq!(parse(json!(40)), Some(40));
        assert_eq!(parse(json!("40")), Some(40));
        for wrong in [
            json!(0),
            json!(129),
            json!("040"),
            json!("+40"),
            json!(" 40"),
            json!(4.5),
            json!(null),
            json!(true),
            json!(""),
        ] {
            assert_eq!(parse(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn id_in_unusual_notation_is_refused() {
        let parse = |text: &str| Id::parse_from_parameter(text).ok().map(|id| id.0);
        assert_eq!(parse("7"), Some(7));
        for wrong in ["0", "-1", "+1", "1.0", "", "x", "9223372036854775808"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
