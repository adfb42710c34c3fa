//! Scalars of filters: queue names, parts of texts, booleans.

use poem_openapi::{
    registry::MetaSchema,
    types::{ParseError, ParseFromParameter, ParseResult},
};
use serde_json::Value;
use uncloud_wire::QueueName;

use super::{Scalar, scalar, string_schema};

/// The name of a queue.
#[derive(Debug, Clone)]
pub struct QueueText(pub QueueName);

impl QueueText {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: uncloud_wire::QueueNameError| error.to_string())
    }
}

impl Scalar for QueueText {
    fn component() -> String {
        "QueueName".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            max_length: Some(253),
            ..string_schema(
                "queue",
                r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
                "vpn-2a0ae5c1200.ungleich.ch",
                "A host's name, or a word for the provider's own work; converted to lower case.",
            )
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        Self::from_text(value.as_str().ok_or("must be a string")?)
    }
}
scalar!([] QueueText);

impl ParseFromParameter for QueueText {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::from_text(text).map_err(ParseError::custom)
    }
}

/// Text to search for.
#[derive(Debug, Clone)]
pub struct TextPart(pub String);

impl TextPart {
    fn from_text(text: &str) -> Result<Self, String> {
        if (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be one line of 1 to 200 characters".into())
        }
    }
}

impl Scalar for TextPart {
    fn component() -> String {
        "TextPart".into()
    }

    fn schema() -> MetaSchema {
        let schema = string_schema("text-part", r"^[^\x00-\x1f\x7f-\x9f]+$", "timed out", "Text to search for.");
        MetaSchema { min_length: Some(1), max_length: Some(200), ..schema }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        Self::from_text(value.as_str().ok_or("must be a string")?)
    }
}
scalar!([] TextPart);

impl ParseFromParameter for TextPart {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::from_text(text).map_err(ParseError::custom)
    }
}

/// A boolean. A string is accepted too, because httpie sends `key=value` as one; the document only names the boolean,
/// so that generated clients have a plain type.
#[derive(Debug, Clone, Copy)]
pub struct Flag(pub bool);

impl Scalar for Flag {
    const IS_INLINE: bool = true;

    fn component() -> String {
        "Flag".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema::new("boolean")
    }

    fn parse(value: &Value) -> Result<Self, String> {
        match value {
            Value::Bool(flag) => Ok(Self(*flag)),
            Value::String(text) if text == "true" => Ok(Self(true)),
            Value::String(text) if text == "false" => Ok(Self(false)),
            _ => Err("must be true or false".into()),
        }
    }
}
scalar!([] Flag);

impl ParseFromParameter for Flag {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::parse(&text.into()).map_err(ParseError::custom)
    }
}
