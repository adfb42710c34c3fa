//! Scalars of a few words, of money and of times.

use chrono::{DateTime, SubsecRound as _, Utc};
use poem_openapi::{
    registry::MetaSchema,
    types::{ParseError, ParseFromParameter, ParseResult},
};
use serde_json::Value;

use super::scalars::{Scalar, scalar, string_schema};
use crate::billing::{
    charge::{Timing, UpgradeCredit},
    money::{Amount, Currency},
    period::RecurringPeriod,
};

/// A choice between a few words.
pub trait Words: Copy + Send + Sync + 'static {
    /// What is chosen.
    const COMPONENT: &'static str;
    /// What that means.
    const ABOUT: &'static str;
    /// The words.
    const WORDS: &'static [(&'static str, Self)];

    /// Its word.
    fn word(self) -> &'static str
    where
        Self: PartialEq,
    {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

/// One of a few words.
#[derive(Debug, Clone, Copy)]
pub struct OneOf<T>(pub T);

impl<T: Words> Scalar for OneOf<T> {
    fn component() -> String {
        T::COMPONENT.into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            enum_items: T::WORDS.iter().map(|(word, _)| (*word).into()).collect(),
            example: T::WORDS.first().map(|(word, _)| (*word).into()),
            description: Some(T::ABOUT),
            ..MetaSchema::new("string")
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let known: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
        let found = T::WORDS.iter().find(|(word, _)| Some(*word) == value.as_str());
        found.map(|(_, value)| Self(*value)).ok_or_else(|| format!("must be one of: {}", known.join(", ")))
    }
}
scalar!([T: Words] OneOf<T>);

impl Words for UpgradeCredit {
    const COMPONENT: &'static str = "UpgradeCredit";
    const ABOUT: &'static str = "What an upgrade does with the period that it interrupts: prorate charges what was used of \
                                 it, none charges all of it.";
    const WORDS: &'static [(&'static str, Self)] = &[("prorate", Self::Prorate), ("none", Self::None)];
}

impl Words for Timing {
    const COMPONENT: &'static str = "BillingTiming";
    const ABOUT: &'static str = "Whether a period is billed when it begins or when it has ended.";
    const WORDS: &'static [(&'static str, Self)] = &[("advance", Self::Advance), ("arrears", Self::Arrears)];
}

/// What something costs: an amount that is not negative.
#[derive(Debug, Clone, Copy)]
pub struct PriceText(pub Amount);

impl Scalar for PriceText {
    fn component() -> String {
        "Price".into()
    }

    fn schema() -> MetaSchema {
        let about = "An amount of money with two decimals; not negative.";
        string_schema("amount", r"^(0|[1-9][0-9]{0,11})\.[0-9]{2}$", "10.00", about)
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("must be a string with two decimals, such as \"10.00\"")?;
        let amount: Amount = text.parse().map_err(|error: crate::billing::money::AmountError| error.to_string())?;
        if amount < Amount::ZERO { Err("must not be negative".into()) } else { Ok(Self(amount)) }
    }
}
scalar!([] PriceText);

/// A currency.
#[derive(Debug, Clone, Copy)]
pub struct CurrencyText(pub Currency);

impl Scalar for CurrencyText {
    fn component() -> String {
        "Currency".into()
    }

    fn schema() -> MetaSchema {
        string_schema("currency", "^[A-Z]{3}$", "CHF", "A currency's three letters (ISO 4217).")
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("must be a string")?;
        text.parse().map(Self).map_err(|error: crate::billing::money::CurrencyError| error.to_string())
    }
}
scalar!([] CurrencyText);

/// How often something is paid.
#[derive(Debug, Clone, Copy)]
pub struct PeriodText(pub RecurringPeriod);

impl Scalar for PeriodText {
    fn component() -> String {
        "RecurringPeriod".into()
    }

    fn schema() -> MetaSchema {
        let about =
            "How often something is paid, as a duration of ISO 8601 with one unit: hours, days, months or years.";
        string_schema("duration", "^P(T[1-9][0-9]{0,3}H|[1-9][0-9]{0,3}[DMY])$", "P30D", about)
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("must be a string such as P30D")?;
        text.parse().map(Self).map_err(|error: crate::catalog::PeriodTextError| error.to_string())
    }
}
scalar!([] PeriodText);

/// A time, in whole seconds.
#[derive(Debug, Clone, Copy)]
pub struct TimeText(pub DateTime<Utc>);

/// Accounts go no further back or ahead.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2099;

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
        let time = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        let time = time.map(|time| time.to_utc().trunc_subsecs(0));
        time.filter(|time| YEARS.contains(&chrono::Datelike::year(time)))
            .map(Self)
            .ok_or_else(|| "must be a time of the years 2000 to 2099, as in 2026-01-01T00:00:00Z".to_owned())
    }
}
scalar!([] TimeText);

/// A name for programs, as products have.
#[derive(Debug, Clone)]
pub struct NameText(pub String);

impl NameText {
    fn from_text(text: &str) -> Result<Self, String> {
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = (1..=63).contains(&text.len())
            && text.bytes().all(is_inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if is_name { Ok(Self(text.to_owned())) } else { Err("must be a name such as ipv6-vm".into()) }
    }
}

impl Scalar for NameText {
    fn component() -> String {
        "ProductName".into()
    }

    fn schema() -> MetaSchema {
        string_schema("name", "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "ipv6-vm", "A product's name for programs.")
    }

    fn parse(value: &Value) -> Result<Self, String> {
        Self::from_text(value.as_str().ok_or("must be a string")?)
    }
}
scalar!([] NameText);

impl ParseFromParameter for NameText {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::from_text(text).map_err(ParseError::custom)
    }
}

/// A user's name.
#[derive(Debug, Clone)]
pub struct UserText(pub crate::accounts::Username);

impl UserText {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: crate::accounts::UsernameError| error.to_string())
    }
}

impl Scalar for UserText {
    fn component() -> String {
        "Username".into()
    }

    fn schema() -> MetaSchema {
        string_schema("username", "^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$", "alice", "A user's name; folded to lower case.")
    }

    fn parse(value: &Value) -> Result<Self, String> {
        Self::from_text(value.as_str().ok_or("must be a string")?)
    }
}
scalar!([] UserText);

impl ParseFromParameter for UserText {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::from_text(text).map_err(ParseError::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prices_have_two_decimals_and_no_sign() {
        assert_eq!(PriceText::parse(&json!("10.00")).map(|price| price.0.cents()), Ok(1000));
        for wrong in [json!("-1.00"), json!("1"), json!("1.005"), json!(1.0), json!(1), json!(null), json!("1e3")] {
            assert!(PriceText::parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_are_named_when_one_is_wrong() {
        assert_eq!(OneOf::<Timing>::parse(&json!("later")).map(|_| ()), Err("must be one of: advance, arrears".into()));
        assert_eq!(OneOf::<UpgradeCredit>::parse(&json!("none")).map(|word| word.0), Ok(UpgradeCredit::None));
    }

    #[test]
    fn times_are_whole_seconds_of_this_century() {
        let parse = |text: &str| TimeText::parse(&json!(text)).map(|time| time.0.to_rfc3339()).ok();
        assert_eq!(parse("2026-01-01T01:00:00.9+01:00").as_deref(), Some("2026-01-01T00:00:00+00:00"));
        for wrong in ["1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "2026-01-01", "2026-02-30T00:00:00Z", "now"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
