//! Points in time.

use chrono::{DateTime, Utc};
use poem_openapi::{
    registry::MetaSchema,
    types::{ParseError, ParseFromParameter, ParseResult},
};
use serde_json::Value;

use super::{Scalar, scalar};

/// A point in time.
#[derive(Debug, Clone, Copy)]
pub struct Moment(pub DateTime<Utc>);

impl Moment {
    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = || "must be a time as in 2026-11-25T04:00:00Z (RFC 3339)".to_owned();
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?.to_utc();
        // PostgreSQL and all common calendars agree on these years.
        if (1..=9999).contains(&chrono::Datelike::year(&time)) { Ok(Self(time)) } else { Err(wrong()) }
    }
}

impl Scalar for Moment {
    const IS_INLINE: bool = true;

    fn component() -> String {
        "Moment".into()
    }

    fn schema() -> MetaSchema {
        // The format is sufficient; with a pattern as well, generators would no longer recognize a time.
        MetaSchema::new_with_format("string", "date-time")
    }

    fn parse(value: &Value) -> Result<Self, String> {
        Self::from_text(value.as_str().ok_or("must be a string")?)
    }
}
scalar!([] Moment);

impl ParseFromParameter for Moment {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::from_text(text).map_err(ParseError::custom)
    }
}
