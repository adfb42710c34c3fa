//! VAT numbers: their form and check digits, offline. Neither proves a registration: verification is up to staff.
//!
//! Forms: the European Commission's VIES (https://ec.europa.eu/taxation_customs/vies, questions and answers). Check
//! digits: each country's own rule as collected by Austria's ministry of finance ("UID-Nummern,
//! Konstruktionsregeln"), for Switzerland the Federal Statistical Office's rule of the UID, for Norway the
//! Brønnøysund Register Centre's.

use std::fmt;

use serde::Serialize;

use super::{country::Country, vat_number_check as check};
use crate::text::is_separator;

/// A VAT number without separators, with its prefix if its country has one: `DE136695976`, `CHE116281710MWST`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct VatNumber {
    country: Country,
    text: String,
}

/// The reason for which a text is not a VAT number of a country.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VatNumberError {
    /// The form of the country's VAT numbers is not known.
    #[error("must be absent: no form of VAT numbers is known for {0}")]
    Unknown(Country),
    /// The text does not have the form of the country's VAT numbers.
    #[error("must be a VAT number of {country}: {form}, such as {example}")]
    Form {
        /// The country of the address.
        country: Country,
        /// A description of the form.
        form: &'static str,
        /// A valid example.
        example: &'static str,
    },
    /// The check digits do not fit, most likely because of a typing mistake.
    #[error("has check digits that do not match; enter the VAT number of {0} exactly as its tax office wrote it")]
    CheckDigits(Country),
}

/// The form of a country's VAT numbers.
struct Rule {
    country: &'static str,
    prefix: &'static str,
    /// A description of the form.
    form: &'static str,
    /// The patterns after the prefix: 9 is a digit, A a letter, X either, other characters stand for themselves.
    shapes: &'static [&'static str],
    /// Checks the text after the prefix, which matches one of the patterns.
    check: fn(&str) -> bool,
    /// A real number, for error messages and tests.
    example: &'static str,
}

const fn rule(
    country: &'static str,
    form: &'static str,
    shapes: &'static [&'static str],
    check: fn(&str) -> bool,
    example: &'static str,
) -> Rule {
    Rule { country, prefix: country, form, shapes, check, example }
}

const DIGITS_8: &[&str] = &["99999999"];
const DIGITS_9: &[&str] = &["999999999"];
const DIGITS_10: &[&str] = &["9999999999"];
const DIGITS_11: &[&str] = &["99999999999"];

/// The rules of the European Union, Switzerland, Liechtenstein, Great Britain and Norway.
const RULES: [Rule; 31] = [
    rule("AT", "ATU and 8 digits", &["U99999999"], check::at, "ATU13585627"),
    rule("BE", "BE, 0 or 1, and 9 digits", &["0999999999", "1999999999"], check::be, "BE0428759497"),
    rule("BG", "BG and 9 or 10 digits", &["999999999", "9999999999"], check::bg, "BG175074752"),
    Rule {
        prefix: "CHE",
        ..rule("CH", "CHE-, 9 digits and perhaps MWST, TVA or IVA", CH_SHAPES, check::ch, "CHE-116.281.710 MWST")
    },
    rule("CY", "CY, 8 digits and a letter", &["99999999A"], check::cy, "CY10259033P"),
    rule("CZ", "CZ and 8 to 10 digits", &["99999999", "999999999", "9999999999"], check::cz, "CZ25123891"),
    rule("DE", "DE and 9 digits", DIGITS_9, check::de, "DE136695976"),
    rule("DK", "DK and 8 digits", DIGITS_8, check::dk, "DK13585628"),
    rule("EE", "EE and 9 digits", DIGITS_9, check::ee, "EE100931558"),
    rule(
        "ES",
        "ES, 8 digits and a letter, or a letter, 7 digits and a letter or digit",
        ES_SHAPES,
        check::es,
        "ES54362315K",
    ),
    rule("FI", "FI and 8 digits", DIGITS_8, check::fi, "FI20774740"),
    rule(
        "FR",
        "FR, 2 digits or letters other than I and O, and 9 digits",
        &["XX999999999"],
        check::fr,
        "FR40303265045",
    ),
    rule("GB", "GB and 9 or 12 digits, or GD or HA and 3 digits", GB_SHAPES, check::gb, "GB980780684"),
    Rule { prefix: "EL", ..rule("GR", "EL and 9 digits", DIGITS_9, check::gr, "EL094259216") },
    rule("HR", "HR and 11 digits", DIGITS_11, check::hr, "HR33392005961"),
    rule("HU", "HU and 8 digits", DIGITS_8, check::hu, "HU12892312"),
    rule(
        "IE",
        "IE, 7 digits and 1 or 2 letters, or IE, a digit, a letter, + or *, 5 digits and a letter",
        IE_SHAPES,
        check::ie,
        "IE6433435F",
    ),
    rule("IT", "IT and 11 digits", DIGITS_11, check::it, "IT00743110157"),
    Rule { prefix: "", ..rule("LI", "5 digits", &["99999"], |_| true, "59812") },
    rule("LT", "LT and 9 or 12 digits", &["999999999", "999999999999"], check::lt, "LT119511515"),
    rule("LU", "LU and 8 digits", DIGITS_8, check::lu, "LU15027442"),
    rule("LV", "LV and 11 digits", DIGITS_11, check::lv, "LV40003521600"),
    rule("MT", "MT and 8 digits", DIGITS_8, check::mt, "MT11679112"),
    rule("NL", "NL, 9 digits, B and 2 digits", &["999999999B99"], check::nl, "NL004495445B01"),
    Rule {
        prefix: "",
        ..rule("NO", "9 digits and MVA", &["999999999MVA", "NO999999999MVA"], check::no, "923609016MVA")
    },
    rule("PL", "PL and 10 digits", DIGITS_10, check::pl, "PL8567346215"),
    rule("PT", "PT and 9 digits", DIGITS_9, check::pt, "PT501964843"),
    rule("RO", "RO and 2 to 10 digits", RO_SHAPES, check::ro, "RO18547290"),
    rule("SE", "SE, 10 digits and 01", &["999999999901"], check::se, "SE123456789701"),
    rule("SI", "SI and 8 digits", DIGITS_8, check::si, "SI50223054"),
    rule("SK", "SK and 10 digits", DIGITS_10, check::sk, "SK2022749619"),
];
const CH_SHAPES: &[&str] = &["999999999", "999999999MWST", "999999999TVA", "999999999IVA"];
const ES_SHAPES: &[&str] = &["99999999A", "A9999999X"];
const GB_SHAPES: &[&str] = &["999999999", "999999999999", "GD999", "HA999"];
const IE_SHAPES: &[&str] = &["9999999A", "9999999AA", "9A99999A", "9+99999A", "9*99999A"];
const RO_SHAPES: &[&str] = &["99", "999", "9999", "99999", "999999", "9999999", "99999999", "999999999", "9999999999"];

fn fits(shape: &str, text: &str) -> bool {
    let same = |(shape, byte): (u8, u8)| match shape {
        b'9' => byte.is_ascii_digit(),
        b'A' => byte.is_ascii_uppercase(),
        b'X' => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        literal => byte == literal,
    };
    shape.len() == text.len() && shape.bytes().zip(text.bytes()).all(same)
}

impl VatNumber {
    /// Parses a country's VAT number; spaces, dots, hyphens and the case of letters are ignored, as in text that is pasted.
    ///
    /// Numbers of individuals without a check digit (CZ before 1954, LV), and those of LI, are checked in form only.
    pub fn parse(country: Country, text: &str) -> Result<Self, VatNumberError> {
        let rule =
            RULES.iter().find(|rule| rule.country == country.as_str()).ok_or(VatNumberError::Unknown(country))?;
        let form = VatNumberError::Form { country, form: rule.form, example: rule.example };
        let plain: String =
            text.chars().filter(|c| *c != '.' && !is_separator(*c)).map(|c| c.to_ascii_uppercase()).collect();
        let body = plain.strip_prefix(rule.prefix).ok_or(form)?;
        if !rule.shapes.iter().any(|shape| fits(shape, body)) {
            return Err(form);
        }
        let is_empty = body.bytes().all(|byte| !matches!(byte, b'1'..=b'9'));
        if is_empty || !(rule.check)(body) {
            return Err(VatNumberError::CheckDigits(country));
        }
        Ok(Self { country, text: plain })
    }

    /// Returns the number as stored and printed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the country.
    pub const fn country(&self) -> Country {
        self.country
    }
}

impl From<VatNumber> for String {
    fn from(number: VatNumber) -> Self {
        number.text
    }
}

impl fmt::Display for VatNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(country: &str, text: &str) -> Result<String, VatNumberError> {
        VatNumber::parse(country.parse().expect("a country"), text).map(String::from)
    }

    /// Returns all texts that differ from this one in one digit.
    fn misspelt(text: &str) -> Vec<String> {
        let at = |(place, _)| (0..10).map(move |digit| format!("{}{digit}{}", &text[..place], &text[place + 1..]));
        let all = text.char_indices().filter(|(_, c)| c.is_ascii_digit()).flat_map(at);
        all.filter(|other| other != text).collect()
    }

    #[test]
    fn parse_of_example_with_misspelt_digit_is_refused() {
        for Rule { country, example, .. } in &RULES {
            let plain = example.replace(['-', '.', ' '], "");
            assert_eq!(parse(country, example), Ok(plain.clone()));
            let unnoticed: Vec<_> = misspelt(&plain).into_iter().filter(|text| parse(country, text).is_ok()).collect();
            match *country {
                "LI" => assert_eq!(unnoticed.len(), 45, "has no check digit"),
                // Sums with the remainder 10 modulo 11 share the digit of another remainder; GB has two sums, and the
                // numbers of individuals in LV have none.
                "BG" | "CZ" | "GB" | "GR" | "LT" | "LV" | "PT" | "RO" | "SI" => {
                    assert!(unnoticed.len() * 9 <= misspelt(&plain).len(), "{unnoticed:?}");
                }
                // The sum does not include the letter B and the digits after it.
                "NL" => {
                    assert!(unnoticed.iter().filter(|text| text[..11] != plain[..11]).count() <= 1, "{unnoticed:?}");
                }
                _ => assert!(unnoticed.is_empty(), "{unnoticed:?}"),
            }
        }
    }

    #[test]
    fn parse_of_every_form_of_a_country_succeeds() {
        for (country, text) in [
            ("BG", "BG7523169263"),
            ("BG", "BG8032056031"),
            ("BG", "BG7111042925"),
            ("CZ", "CZ7103192745"),
            ("CZ", "CZ640903926"),
            ("CZ", "CZ530101123"),
            ("ES", "ESB58378431"),
            ("ES", "ESJ99216582"),
            ("ES", "ESX2482300W"),
            ("ES", "ESX5253868R"),
            ("ES", "ESM1234567L"),
            ("FR", "FR23334175221"),
            ("FR", "FRK7399859412"),
            ("FR", "FR4Z123456782"),
            ("GB", "GB980780684"),
            ("GB", "GB562235987"),
            ("GB", "GB562235987001"),
            ("GB", "GBGD001"),
            ("GB", "GBHA500"),
            ("IE", "IE8D79739I"),
            ("IE", "IE6433435OA"),
            ("IE", "IE3628739L"),
            ("LT", "LT100001919017"),
            ("LT", "LT119511515"),
            ("LV", "LV16117519997"),
            ("NL", "NL000099998B57"),
            ("NO", "NO923609016MVA"),
            ("RO", "RO18547290"),
        ] {
            assert!(parse(country, text).is_ok(), "{country} {text}: {:?}", parse(country, text));
        }
    }

    #[test]
    fn parse_with_separators_and_lowercase_letters_normalizes_them() {
        assert_eq!(parse("DE", "de 136.695-976"), Ok("DE136695976".into()));
        assert_eq!(parse("CH", "CHE-116.281.710 MWST"), Ok("CHE116281710MWST".into()));
        assert_eq!(parse("NO", "NO 923 609 016 MVA"), Ok("NO923609016MVA".into()));
    }

    #[test]
    fn parse_of_invalid_number_names_the_accepted_form() {
        let refusal = |country, text| parse(country, text).expect_err("wrong").to_string();
        let german = "must be a VAT number of DE: DE and 9 digits, such as DE136695976";
        for text in ["", "DE", "136695976", "DE13669597", "DE1366959760", "ATU13585627", "DE13669597X", "DE١٣٦٦٩٥٩٧٦"]
        {
            assert_eq!(refusal("DE", text), german, "{text:?}");
        }
        assert_eq!(refusal("GR", "GR094259216"), "must be a VAT number of GR: EL and 9 digits, such as EL094259216");
        assert_eq!(
            refusal("DE", "DE136695975"),
            "has check digits that do not match; enter the VAT number of DE exactly as its tax office wrote it"
        );
        assert_eq!(refusal("US", "123"), "must be absent: no form of VAT numbers is known for US");
        for (country, zero) in [("IT", "IT00000000000"), ("EE", "EE000000000"), ("LI", "00000"), ("GB", "GB000000000")]
        {
            assert_eq!(parse(country, zero), Err(VatNumberError::CheckDigits(country.parse().expect("a country"))));
        }
    }
}
