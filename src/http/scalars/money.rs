//! Scalars of money: amounts, currencies, countries, rates, recurring periods; parsed and serialized in one form.

use chrono::NaiveDate;
use chrono_tz::Tz;
use poem_openapi::{
    registry::MetaSchema,
    types::{ParseError, ParseFromParameter, ParseResult},
};
use serde_json::Value;

use super::{Scalar, scalar, string_schema, words::word_scalar};
use crate::money::{
    amount::{Amount, Currency, Rate},
    charge::{BillingMode, UpgradeCredit},
    country::Country,
    iban::{Bic, Iban, QrIban},
    language::Language,
    period::RecurringPeriod,
    territory::Territory,
    unit_price::UnitPrice,
};

macro_rules! text_scalar {
    ($ty:ty, $component:literal, $format:literal, $pattern:literal, $example:literal, $description:literal) => {
        impl Scalar for $ty {
            fn component() -> String {
                $component.into()
            }

            fn schema() -> MetaSchema {
                string_schema($format, $pattern, $example, $description)
            }

            fn parse(value: &Value) -> Result<Self, String> {
                let text = value.as_str().ok_or("must be a string")?;
                text.parse().map_err(|error: <Self as std::str::FromStr>::Err| error.to_string())
            }
        }
        scalar!([] $ty);

        impl poem_openapi::types::ToJSON for $ty {
            fn to_json(&self) -> Option<Value> {
                Some(self.to_string().into())
            }
        }

        impl ParseFromParameter for $ty {
            fn parse_from_parameter(text: &str) -> ParseResult<Self> {
                Self::parse(&Value::from(text)).map_err(ParseError::custom)
            }
        }
    };
}

text_scalar!(
    Amount,
    "Money",
    "money",
    r"^-?(0|[1-9][0-9]{0,11})\.[0-9]{2}$",
    "10.00",
    "An amount of money with exactly two decimals, of either sign; the currency is a separate member."
);
text_scalar!(
    UnitPrice,
    "Price",
    "money",
    r"^(0|[1-9][0-9]{0,11})\.[0-9]{2,6}$",
    "10.00",
    "A price of one unit with two to six decimals, never negative; the currency is a separate member."
);
text_scalar!(
    Currency,
    "CurrencyCode",
    "currency-code",
    "^[A-Z]{3}$",
    "CHF",
    "A currency as its three-letter code (ISO 4217)."
);
text_scalar!(
    Country,
    "CountryCode",
    "country-code",
    "^[A-Z]{2}$",
    "CH",
    "A country as its two-letter code (ISO 3166-1); Greece is GR, the United Kingdom GB."
);
text_scalar!(
    Territory,
    "VatTerritory",
    "vat-territory",
    "^[A-Z]{2}(-[1-9][0-9]{0,3})?$",
    "CH",
    "A VAT territory: a country's two-letter code (ISO 3166-1), or AT-6691 for Jungholz and Mittelberg, PT-20 for the \
     Azores, PT-30 for Madeira."
);
text_scalar!(
    Rate,
    "VatRateFraction",
    "fraction",
    r"^(0\.[0-9]{1,6}|1\.0{1,6}|[01])$",
    "0.081",
    "A VAT rate as a fraction: 0.081 is 8.1 %."
);
text_scalar!(
    RecurringPeriod,
    "RecurringPeriodLength",
    "duration",
    "^P(T(1000|[1-9][0-9]{0,2})H|(1000|[1-9][0-9]{0,2})D|(600|[1-5][0-9]{2}|[1-9][0-9]?)M|(50|[1-4][0-9]|[1-9])Y)$",
    "P30D",
    "Interval at which a price is paid (ISO 8601): P30D is 30 days, PT1H an hour, P1M a calendar month, P1Y a year; at most 50 years."
);

text_scalar!(
    Iban,
    "Iban",
    "iban",
    "^[A-Za-z]{2}[0-9]{2}[A-Za-z0-9 ]{11,38}$",
    "CH9300762011623852957",
    "An account number (IBAN, ISO 13616), with or without blanks; no QR-IBAN."
);
text_scalar!(
    QrIban,
    "QrIban",
    "iban",
    "^([Cc][Hh]|[Ll][Ii])[0-9]{2}[A-Za-z0-9 ]{17,38}$",
    "CH4431999123000889012",
    "An account number for Swiss QR-bills with a QR reference, with or without blanks."
);
text_scalar!(
    Bic,
    "Bic",
    "bic",
    "^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$",
    "GLKBCH22",
    "A bank's identifier (BIC, ISO 9362)."
);

text_scalar!(
    TimeZone,
    "TimeZone",
    "time-zone",
    "^[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}$",
    "Europe/Zurich",
    "A time zone as its name in the tz database (IANA)."
);

text_scalar!(
    Date,
    "Date",
    "date",
    "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
    "2026-01-31",
    "A civil date."
);

/// A civil date.
#[derive(Debug, Clone, Copy)]
pub struct Date(pub NaiveDate);

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|date| date.to_string() == text);
        date.map(Self).ok_or_else(|| "must be a date such as 2026-01-31".to_owned())
    }
}

/// A time zone.
#[derive(Debug, Clone, Copy)]
pub struct TimeZone(pub Tz);

impl std::fmt::Display for TimeZone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

impl std::str::FromStr for TimeZone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let zone = text.parse().map_err(|_| "must be a time zone of the tz database, such as Europe/Zurich".to_owned());
        zone.map(Self)
    }
}

word_scalar!(
    BillingMode,
    "BillingMode",
    "Time at which a period is billed: at its start (advance) or after its end (arrears).",
    ["advance" => Self::Advance, "arrears" => Self::Arrears]
);
word_scalar!(
    UpgradeCredit,
    "UpgradeCredit",
    "Charge for the period that an upgrade interrupts: only the used part of it (prorate), or all of it (none).",
    ["prorate" => Self::Prorate, "none" => Self::None]
);

word_scalar!(
    Language,
    "Language",
    "Language of bills: German, French, Italian or English.",
    ["de" => Self::De, "fr" => Self::Fr, "it" => Self::It, "en" => Self::En]
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn price_without_two_to_six_decimals_or_negative_is_refused() {
        let parse = |value: Value| UnitPrice::parse(&value).map(|price| price.to_string());
        assert_eq!(parse(json!("0.00")), Ok("0.00".into()));
        for wrong in ["-1.00", "-0.00", "1", "1.0000005", "1.5", "01.00", "1e3", "1'000.00", " 1.00", ""] {
            assert!(parse(json!(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(parse(json!(10.0)), Err("must be a string".into()), "a float is not exact");
    }
}
