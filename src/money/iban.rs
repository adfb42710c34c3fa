//! Account numbers: IBAN (ISO 13616) with their check digits, and the QR-IBAN of Swiss QR-bills.

use std::{fmt, str::FromStr};

/// An account number without blanks, such as `CH9300762011623852957`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iban(String);

/// The error for a text that is not an IBAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an IBAN as the bank wrote it, such as CH93 0076 2011 6238 5295 7")]
pub struct IbanError;

impl Iban {
    /// Returns the text without blanks.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true for the account number of Swiss QR-bills with a QR reference: the number of its bank lies between
    /// 30000 and 31999 (SIX, Swiss implementation guidelines for the QR-bill).
    pub fn is_qr(&self) -> bool {
        let is_swiss = self.0.starts_with("CH") || self.0.starts_with("LI");
        is_swiss && self.0[4..9].parse().is_ok_and(|bank: u32| (30_000..=31_999).contains(&bank))
    }
}

impl FromStr for Iban {
    type Err = IbanError;

    fn from_str(text: &str) -> Result<Self, IbanError> {
        let text: String = text.chars().filter(|c| *c != ' ').collect::<String>().to_ascii_uppercase();
        let length = match text.get(..2).ok_or(IbanError)? {
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
            return Err(IbanError);
        }
        // The remainder of division by 97, with letters as the numbers from 10 and the first four characters at the end.
        let remainder = rest[2..].chars().chain(text[..4].chars()).fold(0, |remainder, c| {
            let digit = c.to_digit(36).unwrap_or_default();
            (remainder * if digit > 9 { 100 } else { 10 } + digit) % 97
        });
        if remainder == 1 { Ok(Self(text)) } else { Err(IbanError) }
    }
}

impl fmt::Display for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iban_with_wrong_check_digits_or_length_is_refused() {
        for (text, is_qr) in [
            ("CH93 0076 2011 6238 5295 7", false),
            ("ch4431999123000889012", true),
            ("DE89370400440532013000", false),
            ("FR1420041010050500013M02606", false),
        ] {
            let iban: Iban = text.parse().expect(text);
            assert_eq!(iban.is_qr(), is_qr, "{text}");
        }
        for text in ["", "C", "CH94 0076 2011 6238 5295 7", "CH930076201162385295", "DE8937040044053201300ß", "93CH"] {
            assert_eq!(text.parse::<Iban>(), Err(IbanError), "{text}");
        }
    }
}
