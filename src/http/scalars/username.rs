//! Names of users.

use poem_openapi::{
    registry::MetaSchema,
    types::{ParseError, ParseFromParameter, ParseResult},
};
use serde_json::Value;

use super::{Scalar, scalar, string_schema};
use crate::user::{Username, UsernameError};

/// A user's name.
#[derive(Debug, Clone)]
pub struct UsernameText(pub Username);

impl UsernameText {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: UsernameError| error.to_string())
    }
}

impl Scalar for UsernameText {
    fn component() -> String {
        "Username".into()
    }

    fn schema() -> MetaSchema {
        string_schema(
            "username",
            "^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$",
            "alice",
            "A user's name; converted to lower case.",
        )
    }

    fn parse(value: &Value) -> Result<Self, String> {
        Self::from_text(value.as_str().ok_or("must be a string")?)
    }
}
scalar!([] UsernameText);

impl ParseFromParameter for UsernameText {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::from_text(text).map_err(ParseError::custom)
    }
}
