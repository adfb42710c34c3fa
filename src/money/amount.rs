//! Amounts of money in whole cents, VAT rates and currencies, and all rounding. No floats are used.

use std::{fmt, ops::Neg, str::FromStr};

use serde::{Deserialize, Serialize};

/// The largest amount in cents: 12 digits before the point.
const MAX_CENTS: i64 = 99_999_999_999_999;

/// The rate 1, in parts per million, the unit of a [`Rate`].
const PPM: u32 = 1_000_000;

/// Rounds a fraction to the nearest integer, half away from zero. The denominator must be positive.
pub const fn round(numerator: i128, denominator: i128) -> i128 {
    let half_up = (2 * numerator.abs() + denominator) / (2 * denominator);
    half_up * numerator.signum()
}

/// An amount of money in hundredths of its currency's unit, of either sign. Written with two decimals: `10.00`,
/// `-3.33`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(try_from = "String", into = "String")]
#[sqlx(transparent)]
pub struct Amount(i64);

/// The reason for which a text or a number is not an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// The text does not have the form of an amount.
    #[error("must be an amount with two decimals, such as 10.00 or -3.33")]
    Form,
    /// The number of decimals is not two: nothing is smaller than a cent, and input is never rounded.
    #[error("must have exactly two decimals, such as 10.00: nothing is smaller than 0.01")]
    Decimals,
    /// The amount is beyond the largest.
    #[error("must lie between -999999999999.99 and 999999999999.99")]
    TooLarge,
}

impl Amount {
    /// The amount 0.00.
    pub const ZERO: Self = Self(0);

    /// Returns the amount in cents, as stored in the database.
    pub const fn cents(self) -> i64 {
        self.0
    }

    /// Returns `numerator / denominator` cents, rounded half away from zero.
    pub fn rounded(numerator: i128, denominator: i128) -> Result<Self, AmountError> {
        i64::try_from(round(numerator, denominator)).map_err(|_| AmountError::TooLarge)?.try_into()
    }

    /// Returns the sum of two amounts.
    pub fn try_add(self, other: Self) -> Result<Self, AmountError> {
        (self.0 + other.0).try_into()
    }

    /// Returns this amount less another.
    pub fn try_sub(self, other: Self) -> Result<Self, AmountError> {
        self.try_add(-other)
    }

    /// Returns this amount multiplied by `times`.
    pub fn try_mul(self, times: i64) -> Result<Self, AmountError> {
        self.0.checked_mul(times).ok_or(AmountError::TooLarge)?.try_into()
    }

    /// Returns the sum of all amounts.
    pub fn try_sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, AmountError> {
        amounts.into_iter().try_fold(Self::ZERO, Self::try_add)
    }

    /// Rounds to the nearest multiple of 0.05, the smallest coin of Switzerland.
    pub fn to_five_cents(self) -> Result<Self, AmountError> {
        Self::rounded(self.0.into(), 5)?.try_mul(5)
    }
}

impl Neg for Amount {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl TryFrom<i64> for Amount {
    type Error = AmountError;

    fn try_from(cents: i64) -> Result<Self, AmountError> {
        if (-MAX_CENTS..=MAX_CENTS).contains(&cents) { Ok(Self(cents)) } else { Err(AmountError::TooLarge) }
    }
}

impl From<Amount> for i64 {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if !is_digits(whole) || leading_zero || !(decimals.is_empty() || is_digits(decimals)) || text.ends_with('.') {
            return Err(AmountError::Form);
        }
        if decimals.len() != 2 {
            return Err(AmountError::Decimals);
        }
        let cents: i64 = format!("{whole}{decimals}").parse().map_err(|_| AmountError::TooLarge)?;
        let amount = Self::try_from(cents)?;
        Ok(if text.starts_with('-') { -amount } else { amount })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        f.pad(&format!("{sign}{}.{:02}", cents / 100, cents % 100))
    }
}

/// A VAT rate as an exact fraction between 0 and 1, in parts per million. Written with at least three decimals:
/// `0.081` is 8.1 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(u32);

/// The error for a text or a number that is not a VAT rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a fraction between 0 and 1 with at most six decimals, such as 0.081 for 8.1 %")]
pub struct RateError;

impl Rate {
    /// The rate 0: no VAT.
    pub const ZERO: Self = Self(0);

    /// Returns the rate in parts per million, as stored in the database: 0.081 is 81000.
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// Returns the rate in per cent, without needless zeros: `8.1`.
    pub fn percent(self) -> String {
        let decimals = format!("{:04}", self.0 % (PPM / 100));
        let text = format!("{}.{decimals}", self.0 / (PPM / 100));
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// Returns the VAT on a sum of net amounts.
    pub fn of(self, base: Amount) -> Amount {
        let tax = round(i128::from(base.0) * i128::from(self.0), PPM.into());
        Amount(i64::try_from(tax).expect("a rate is at most one, so the tax is at most the base"))
    }
}

impl TryFrom<i32> for Rate {
    type Error = RateError;

    fn try_from(ppm: i32) -> Result<Self, RateError> {
        u32::try_from(ppm).ok().filter(|ppm| *ppm <= PPM).map(Self).ok_or(RateError)
    }
}

impl From<Rate> for i32 {
    fn from(rate: Rate) -> Self {
        rate.0.cast_signed()
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        if !matches!(whole, "0" | "1") || !is_digits(decimals) || decimals.len() > 6 {
            return Err(RateError);
        }
        format!("{whole}{decimals:0<6}").parse::<i32>().map_err(|_| RateError)?.try_into()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.0 % PPM);
        let (three, rest) = decimals.split_at(3);
        f.pad(&format!("{}.{three}{}", self.0 / PPM, rest.trim_end_matches('0')))
    }
}

/// A currency code of three letters (ISO 4217), such as CHF. Its existence, and its division into cents, are not
/// checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// The error for a text that is not a currency code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a currency's three uppercase letters (ISO 4217), such as CHF")]
pub struct CurrencyError;

impl Currency {
    /// Returns the three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("uppercase letters are UTF-8")
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let letters: [u8; 3] = text.as_bytes().try_into().map_err(|_| CurrencyError)?;
        if letters.iter().all(u8::is_ascii_uppercase) { Ok(Self(letters)) } else { Err(CurrencyError) }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Serializes all three as strings in JSON, because a JSON number would be read as a float.
macro_rules! as_text {
    ($($ty:ty: $error:ty),*) => {$(
        impl TryFrom<String> for $ty {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$ty> for String {
            fn from(value: $ty) -> Self {
                value.to_string()
            }
        }
    )*};
}

pub(super) use as_text;

as_text!(Amount: AmountError, Rate: RateError, Currency: CurrencyError);

#[cfg(test)]
mod tests;
