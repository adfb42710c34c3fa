//! Prices of one unit, with up to six decimals: an hour may cost 0.0066. What is billed has two decimals.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::amount::{Amount, AmountError, Rate, as_text, is_digits, round};

/// The millionths in a cent.
pub(super) const MICROS_PER_CENT: i64 = 10_000;
const MICROS: i64 = 1_000_000;
/// The largest price: 12 digits before the point.
const MAX_MICROS: i64 = 999_999_999_999_999_999;

/// A price in millionths of its currency's unit, never negative. Written with two to six decimals: `10.00`, `0.0066`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(try_from = "String", into = "String")]
#[sqlx(transparent)]
pub struct UnitPrice(i64);

/// The reason for which a text or a number is not a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnitPriceError {
    /// The text does not have the form of a price.
    #[error("must be a price with two to six decimals, such as 10.00 or 0.0066")]
    Form,
    /// The number of decimals is not two to six: input is never rounded.
    #[error("must have two to six decimals, such as 10.00 or 0.0066")]
    Decimals,
    /// The price is negative.
    #[error("must not be negative, such as 10.00")]
    Negative,
    /// The price is beyond the largest.
    #[error("must not be larger than 999999999999.999999")]
    TooLarge,
}

impl UnitPrice {
    /// The price 0.00.
    pub const ZERO: Self = Self(0);

    /// Returns the price in millionths, as stored in the database.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Returns the sum of two prices.
    pub fn try_add(self, other: Self) -> Result<Self, UnitPriceError> {
        self.0.checked_add(other.0).ok_or(UnitPriceError::TooLarge)?.try_into()
    }

    /// Returns the difference of two prices, at least zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(if self.0 > other.0 { self.0 - other.0 } else { 0 })
    }

    /// Returns the price of `times` units.
    pub fn try_mul(self, times: i64) -> Result<Self, UnitPriceError> {
        self.0.checked_mul(times).ok_or(UnitPriceError::TooLarge)?.try_into()
    }

    /// Returns the VAT on the price, rounded to cents if the price is in cents, else to millionths.
    #[must_use]
    pub fn tax(self, rate: Rate) -> Self {
        let unit = if self.0 % MICROS_PER_CENT == 0 { MICROS_PER_CENT } else { 1 };
        let tax = round(i128::from(self.0) * i128::from(rate.ppm()), i128::from(MICROS) * i128::from(unit));
        Self(i64::try_from(tax).expect("a rate is at most one, so the tax is at most the price") * unit)
    }

    /// Returns the amount of one unit, rounded half away from zero.
    pub fn to_amount(self) -> Result<Amount, AmountError> {
        Amount::rounded(self.0.into(), MICROS_PER_CENT.into())
    }
}

impl TryFrom<i64> for UnitPrice {
    type Error = UnitPriceError;

    fn try_from(micros: i64) -> Result<Self, UnitPriceError> {
        match micros {
            ..0 => Err(UnitPriceError::Negative),
            0..=MAX_MICROS => Ok(Self(micros)),
            _ => Err(UnitPriceError::TooLarge),
        }
    }
}

impl TryFrom<Amount> for UnitPrice {
    type Error = UnitPriceError;

    fn try_from(amount: Amount) -> Result<Self, UnitPriceError> {
        amount.cents().checked_mul(MICROS_PER_CENT).ok_or(UnitPriceError::TooLarge)?.try_into()
    }
}

impl FromStr for UnitPrice {
    type Err = UnitPriceError;

    fn from_str(text: &str) -> Result<Self, UnitPriceError> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if !is_digits(whole) || leading_zero || !(decimals.is_empty() || is_digits(decimals)) || text.ends_with('.') {
            return Err(UnitPriceError::Form);
        }
        if text.starts_with('-') {
            return Err(UnitPriceError::Negative);
        }
        if !(2..=6).contains(&decimals.len()) {
            return Err(UnitPriceError::Decimals);
        }
        format!("{whole}{decimals:0<6}").parse::<i64>().map_err(|_| UnitPriceError::TooLarge)?.try_into()
    }
}

impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.0 % MICROS);
        let (two, rest) = decimals.split_at(2);
        f.pad(&format!("{}.{two}{}", self.0 / MICROS, rest.trim_end_matches('0')))
    }
}

as_text!(UnitPrice: UnitPriceError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_price_as_written_is_read_back() {
        for text in ["0.00", "10.00", "0.0066", "0.000001", "1.005", "999999999999.999999"] {
            assert_eq!(text.parse::<UnitPrice>().map(|price| price.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("1.500000".parse::<UnitPrice>().map(|price| price.to_string()), Ok("1.50".to_owned()));
        for (text, error) in [
            ("1", UnitPriceError::Decimals),
            ("1.5", UnitPriceError::Decimals),
            ("0.0000001", UnitPriceError::Decimals),
            ("-0.01", UnitPriceError::Negative),
            ("1e3", UnitPriceError::Form),
            ("01.00", UnitPriceError::Form),
            ("1.", UnitPriceError::Form),
            ("", UnitPriceError::Form),
            ("1000000000000.00", UnitPriceError::TooLarge),
        ] {
            assert_eq!(text.parse::<UnitPrice>(), Err(error), "{text}");
        }
    }

    #[test]
    fn unit_price_as_amount_is_rounded_half_away_from_zero() {
        for (price, amount) in [("0.0049", "0.00"), ("0.005", "0.01"), ("1.014999", "1.01"), ("1.015", "1.02")] {
            let price: UnitPrice = price.parse().expect("a price");
            assert_eq!(price.to_amount().map(|amount| amount.to_string()), Ok(amount.to_owned()));
        }
    }
}
