//! Scalars of bills.

use chrono::{DateTime, SubsecRound as _, Utc};
use poem_openapi::{
    registry::MetaSchema,
    types::{ParseError, ParseFromParameter, ParseResult, ToJSON},
};
use serde_json::Value;

use crate::{
    billing::money::{Amount, AmountError, Currency},
    http::{Scalar, parse_text, scalar, string_schema},
};

/// An amount of money of either sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct AmountText(pub Amount);

impl Scalar for AmountText {
    fn component() -> String {
        "Amount".into()
    }

    fn schema() -> MetaSchema {
        let about = "An amount of money with two decimals.";
        string_schema("amount", r"^-?(0|[1-9][0-9]{0,11})\.[0-9]{2}$", "10.00", about)
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("must be a string with two decimals, such as \"10.00\"")?;
        text.parse().map(Self).map_err(|error: AmountError| error.to_string())
    }
}
scalar!([] AmountText);

impl ToJSON for AmountText {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.to_string().into())
    }
}

/// A currency.
#[derive(Debug, Clone, Copy)]
pub(super) struct CurrencyText(pub Currency);

impl Scalar for CurrencyText {
    fn component() -> String {
        "Currency".into()
    }

    fn schema() -> MetaSchema {
        string_schema("currency", "^[A-Z]{3}$", "CHF", "A currency's three letters (ISO 4217).")
    }

    fn parse(value: &Value) -> Result<Self, String> {
        parse_text(value).map(Self)
    }
}
scalar!([] CurrencyText);

impl ParseFromParameter for CurrencyText {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        text.parse().map(Self).map_err(ParseError::custom)
    }
}

/// A time, in whole seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeText(pub DateTime<Utc>);

/// Accounts go no further back or ahead.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2099;

impl TimeText {
    fn from_text(text: &str) -> Result<Self, String> {
        let time = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc().trunc_subsecs(0));
        time.filter(|time| YEARS.contains(&chrono::Datelike::year(time)))
            .map(Self)
            .ok_or_else(|| "must be a time of the years 2000 to 2099, as in 2026-01-01T00:00:00Z".to_owned())
    }
}

impl Scalar for TimeText {
    fn component() -> String {
        "Time".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            example: Some("2026-01-01T00:00:00Z".into()),
            description: Some("A time of the years 2000 to 2099 (RFC 3339); fractions of a second are cut off."),
            ..MetaSchema::new_with_format("string", "date-time")
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        Self::from_text(value.as_str().ok_or("must be a string")?)
    }
}
scalar!([] TimeText);

impl ParseFromParameter for TimeText {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::from_text(text).map_err(ParseError::custom)
    }
}

/// A line of text on a bill or about it.
#[derive(Debug, Clone)]
pub(super) struct LineText(pub String);

impl Scalar for LineText {
    fn component() -> String {
        "BillLineText".into()
    }

    fn schema() -> MetaSchema {
        let schema = string_schema(
            "line",
            r"^[^\x00-\x1f\x7f-\x9f]+$",
            "Credit for the outage of 3 March",
            "One line of text, with something else than space in it.",
        );
        MetaSchema { min_length: Some(1), max_length: Some(500), ..schema }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("must be a string")?;
        let is_line = (1..=500).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if is_line && !text.trim().is_empty() {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be one line of 1 to 500 characters that are not all spaces".into())
        }
    }
}
scalar!([] LineText);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_texts_with_two_decimals() {
        assert_eq!(AmountText::parse(&json!("-3.33")).map(|amount| amount.0.cents()), Ok(-333));
        for wrong in [json!(3.33), json!(3), json!("3"), json!("3.333"), json!("1e3"), json!(null), json!("+3.00")] {
            assert!(AmountText::parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_whole_seconds_of_this_century() {
        let parse = |text: &str| TimeText::from_text(text).map(|time| time.0.to_rfc3339()).ok();
        assert_eq!(parse("2026-01-01T01:00:00.9+01:00").as_deref(), Some("2026-01-01T00:00:00+00:00"));
        for wrong in ["1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "2026-01-01", "2026-02-30T00:00:00Z", "now"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lines_are_one_line_of_something() {
        assert!(LineText::parse(&json!("Refund")).is_ok());
        for wrong in [json!(""), json!("  "), json!("a\nb"), json!("x".repeat(501)), json!(1)] {
            assert!(LineText::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
