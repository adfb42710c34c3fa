//! Bank accounts: the IBAN (ISO 13616) with its check digits, the QR-IBAN of Swiss QR-bills, the BIC (ISO 9362).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::amount::as_text;
use crate::text::is_separator;

/// An account number without blanks, such as `CH9300762011623852957`; no QR-IBAN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Iban(String);

/// An account number of Swiss QR-bills with a QR reference, without blanks: the number of its bank lies between 30000 and
/// 31999 (SIX, Swiss implementation guidelines for the QR-bill).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QrIban(String);

/// A bank's identifier, such as `GLKBCH22`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bic(String);

/// The error for a text that is not an account number of its kind, or not a bank's identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// It is not an IBAN.
    #[error("must be an IBAN as the bank wrote it, such as CH93 0076 2011 6238 5295 7")]
    Iban,
    /// It is a QR-IBAN where an IBAN is needed.
    #[error("must not be a QR-IBAN; set that as qr_iban")]
    QrIban,
    /// It is an IBAN where a QR-IBAN is needed.
    #[error("must be a QR-IBAN, whose bank number lies between 30000 and 31999")]
    NoQrIban,
    /// It is not a BIC.
    #[error("must be a BIC of 8 or 11 capital letters and digits, such as GLKBCH22")]
    Bic,
}

/// Returns the account number without spaces and hyphens, in capital letters.
fn normalized(text: &str) -> Result<String, AccountError> {
    let text: String = text.chars().filter(|c| !is_separator(*c)).collect::<String>().to_ascii_uppercase();
    let length = match text.get(..2).ok_or(AccountError::Iban)? {
        "CH" | "LI" => 21..=21,
        "DE" => 22..=22,
        "AT" => 20..=20,
        "FR" | "IT" => 27..=27,
        _ => 15..=34,
    };
    let (country, rest) = text.split_at(2);
    let is_form = length.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && rest.bytes().take(2).all(|byte| byte.is_ascii_digit());
    if !is_form {
        return Err(AccountError::Iban);
    }
    // The remainder of division by 97, with letters as the numbers from 10 and the first four characters at the end.
    let remainder = rest[2..].chars().chain(text[..4].chars()).fold(0, |remainder, c| {
        let digit = c.to_digit(36).unwrap_or_default();
        (remainder * if digit > 9 { 100 } else { 10 } + digit) % 97
    });
    if remainder == 1 { Ok(text) } else { Err(AccountError::Iban) }
}

fn is_qr(iban: &str) -> bool {
    let is_swiss = iban.starts_with("CH") || iban.starts_with("LI");
    is_swiss && iban[4..9].parse().is_ok_and(|bank: u32| (30_000..=31_999).contains(&bank))
}

impl FromStr for Iban {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, AccountError> {
        let iban = normalized(text)?;
        if is_qr(&iban) { Err(AccountError::QrIban) } else { Ok(Self(iban)) }
    }
}

impl FromStr for QrIban {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, AccountError> {
        let iban = normalized(text)?;
        if is_qr(&iban) { Ok(Self(iban)) } else { Err(AccountError::NoQrIban) }
    }
}

impl FromStr for Bic {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, AccountError> {
        let is_ours = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let is_country = text.bytes().skip(4).take(2).all(|byte| byte.is_ascii_uppercase());
        let fits = matches!(text.len(), 8 | 11) && text.bytes().all(is_ours) && is_country;
        if fits { Ok(Self(text.to_owned())) } else { Err(AccountError::Bic) }
    }
}

macro_rules! displayed {
    ($($ty:ty),+) => {$(
        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )+};
}
displayed!(Iban, QrIban, Bic);
as_text!(Iban: AccountError, QrIban: AccountError, Bic: AccountError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iban_with_wrong_check_digits_or_length_is_refused() {
        for text in ["CH93 0076 2011 6238 5295 7", "DE89370400440532013000", "FR1420041010050500013M02606"] {
            assert!(text.parse::<Iban>().is_ok(), "{text}");
            assert_eq!(text.parse::<QrIban>(), Err(AccountError::NoQrIban), "{text}");
        }
        for text in ["", "C", "CH94 0076 2011 6238 5295 7", "CH930076201162385295", "DE8937040044053201300ß", "93CH"] {
            assert_eq!(text.parse::<Iban>(), Err(AccountError::Iban), "{text}");
        }
    }

    #[test]
    fn qr_iban_is_no_iban() {
        let text = "ch4431999123000889012";
        assert_eq!(text.parse::<QrIban>().expect("QR-IBAN").to_string(), "CH4431999123000889012");
        assert_eq!(text.parse::<Iban>(), Err(AccountError::QrIban));
    }

    #[test]
    fn bic_of_other_length_or_characters_is_refused() {
        for text in ["GLKBCH22", "DEUTDEFF500"] {
            assert!(text.parse::<Bic>().is_ok(), "{text}");
        }
        for text in ["", "GLKBCH2", "glkbch22", "GLKB1H22", "GLKBCH22XX", "GLKBCH2É"] {
            assert_eq!(text.parse::<Bic>(), Err(AccountError::Bic), "{text}");
        }
    }
}
