//! Identifiers and other whole numbers.

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
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

/// A whole number from `MIN` to `MAX`, also as a string: httpie sends `key=value` so.
#[derive(Debug, Clone, Copy)]
pub struct Number<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Number<MIN, MAX> {
    /// The number. `MAX` must fit into `T`.
    pub fn get<T: TryFrom<u32>>(self) -> T {
        T::try_from(self.0).ok().expect("the type's bounds fit the number's use")
    }
}

impl<const MIN: u32, const MAX: u32> Scalar for Number<MIN, MAX> {
    fn component() -> String {
        format!("Number{MIN}To{MAX}")
    }

    fn schema() -> MetaSchema {
        let integer = MetaSchema {
            minimum: Some(MIN.into()),
            maximum: Some(MAX.into()),
            ..MetaSchema::new_with_format("integer", "int32")
        };
        let string = MetaSchema { pattern: Some(range_pattern(MIN, MAX)), ..MetaSchema::new("string") };
        MetaSchema {
            any_of: vec![MetaSchemaRef::Inline(Box::new(integer)), MetaSchemaRef::Inline(Box::new(string))],
            description: Some("A whole number, also written as a string."),
            example: Some(MAX.min(48).max(MIN).into()),
            ..MetaSchema::ANY
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let wrong = || format!("must be a whole number from {MIN} to {MAX}");
        let number = match value {
            Value::Number(number) => number.as_u64(),
            // Without sign, leading zero or space: one way to write a number.
            Value::String(text) => text.parse::<u64>().ok().filter(|number| number.to_string() == *text),
            _ => None,
        };
        let number = number.and_then(|number| u32::try_from(number).ok());
        number.filter(|number| (MIN..=MAX).contains(number)).map(Self).ok_or_else(wrong)
    }
}
scalar!([const MIN: u32, const MAX: u32] Number<MIN, MAX>);

/// A pattern for exactly these numbers, written in the one way.
fn range_pattern(min: u32, max: u32) -> String {
    let mut parts = Vec::new();
    let (mut from, max) = (u64::from(min), u64::from(max));
    while from <= max {
        // As many last digits as can be anything: the next part ends where these are all nines.
        let mut block = 1;
        while from.is_multiple_of(block * 10) && from != 0 && from + block * 10 - 1 <= max {
            block *= 10;
        }
        let digit = from / block % 10;
        let last = ((max + 1 - from) / block + digit - 1).min(9);
        parts.push(part_pattern(from / block / 10, digit, last, block));
        from += (last - digit + 1) * block;
    }
    format!("^({})$", parts.join("|"))
}

/// Numbers that begin with `prefix`, go on with one of the digits, and end with whatever fits into `block`.
fn part_pattern(prefix: u64, digit: u64, last: u64, block: u64) -> String {
    let prefix = if prefix == 0 { String::new() } else { prefix.to_string() };
    let digits = if digit == last { digit.to_string() } else { format!("[{digit}-{last}]") };
    match block.ilog10() {
        0 => format!("{prefix}{digits}"),
        1 => format!("{prefix}{digits}[0-9]"),
        count => format!("{prefix}{digits}[0-9]{{{count}}}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_taken_as_numbers_and_as_plain_strings_only() {
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
    fn patterns_of_numbers_are_exact() {
        assert_eq!(range_pattern(0, 9), "^([0-9])$");
        assert_eq!(range_pattern(1, 128), "^([1-9]|[1-9][0-9]|1[0-1][0-9]|12[0-8])$");
        assert_eq!(range_pattern(5, 1000), "^([5-9]|[1-9][0-9]|[1-9][0-9]{2}|1000)$");
    }

    #[test]
    fn identifiers_in_paths_are_plain_numbers() {
        let parse = |text: &str| Id::parse_from_parameter(text).ok().map(|id| id.0);
        assert_eq!(parse("7"), Some(7));
        for wrong in ["0", "-1", "+1", "1.0", "", "x", "9223372036854775808"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
