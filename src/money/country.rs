//! Countries, and the facts about them that VAT requires.

use std::{fmt, str::FromStr};

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// The officially assigned codes of ISO 3166-1 alpha-2, in order (from the tz database's `iso3166.tab`, 2026). An
/// unassigned code, such as `EL` for Greece or `UK` for `GB`, would be taken for an untaxed country outside the scope
/// of VAT.
const ASSIGNED: &str = "\
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ \
CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO \
FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE \
JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW \
PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM \
TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// The member states of the European Union with the time zone in which their VAT rates change; for countries with
/// several zones, the capital's.
const EUROPEAN_UNION: [(&str, Tz); 27] = [
    ("AT", Tz::Europe__Vienna),
    ("BE", Tz::Europe__Brussels),
    ("BG", Tz::Europe__Sofia),
    ("CY", Tz::Asia__Nicosia),
    ("CZ", Tz::Europe__Prague),
    ("DE", Tz::Europe__Berlin),
    ("DK", Tz::Europe__Copenhagen),
    ("EE", Tz::Europe__Tallinn),
    ("ES", Tz::Europe__Madrid),
    ("FI", Tz::Europe__Helsinki),
    ("FR", Tz::Europe__Paris),
    ("GR", Tz::Europe__Athens),
    ("HR", Tz::Europe__Zagreb),
    ("HU", Tz::Europe__Budapest),
    ("IE", Tz::Europe__Dublin),
    ("IT", Tz::Europe__Rome),
    ("LT", Tz::Europe__Vilnius),
    ("LU", Tz::Europe__Luxembourg),
    ("LV", Tz::Europe__Riga),
    ("MT", Tz::Europe__Malta),
    ("NL", Tz::Europe__Amsterdam),
    ("PL", Tz::Europe__Warsaw),
    ("PT", Tz::Europe__Lisbon),
    ("RO", Tz::Europe__Bucharest),
    ("SE", Tz::Europe__Stockholm),
    ("SI", Tz::Europe__Ljubljana),
    ("SK", Tz::Europe__Bratislava),
];

/// The other territories with known VAT rates and numbers.
const OTHERS: [(&str, Tz); 4] = [
    ("CH", Tz::Europe__Zurich),
    ("GB", Tz::Europe__London),
    ("LI", Tz::Europe__Zurich), // by treaty part of the Swiss VAT area
    ("NO", Tz::Europe__Oslo),
];

/// A country code of two letters (ISO 3166-1), such as CH.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country([u8; 2]);

/// The error for a text that is not a country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a country's two uppercase letters (ISO 3166-1), such as CH; Greece is GR, the United Kingdom GB")]
pub struct CountryError;

impl Country {
    /// The code of Switzerland.
    pub const CH: Self = Self(*b"CH");
    /// The code of Liechtenstein.
    pub const LI: Self = Self(*b"LI");

    /// Returns the two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("uppercase letters are UTF-8")
    }

    /// Returns true for the member states of the European Union.
    pub fn is_in_eu(self) -> bool {
        EUROPEAN_UNION.iter().any(|(code, _)| *code == self.as_str())
    }

    /// Returns the time zone in which the country's VAT rates change at midnight; `None` if its VAT is not known.
    pub fn vat_zone(self) -> Option<Tz> {
        EUROPEAN_UNION.iter().chain(&OTHERS).find(|(code, _)| *code == self.as_str()).map(|(_, zone)| *zone)
    }

    /// Returns all countries with a [`Country::vat_zone`].
    pub fn with_vat() -> impl Iterator<Item = Self> {
        EUROPEAN_UNION.iter().chain(&OTHERS).filter_map(|(code, _)| code.parse().ok())
    }
}

impl FromStr for Country {
    type Err = CountryError;

    fn from_str(text: &str) -> Result<Self, CountryError> {
        let letters = text.as_bytes().try_into().map_err(|_| CountryError)?;
        if ASSIGNED.split(' ').any(|code| code == text) { Ok(Self(letters)) } else { Err(CountryError) }
    }
}

impl TryFrom<String> for Country {
    type Error = CountryError;

    fn try_from(text: String) -> Result<Self, CountryError> {
        text.parse()
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.as_str().to_owned()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn country_with_unassigned_code_is_refused() {
        assert_eq!("CH".parse(), Ok(Country::CH));
        for text in ["", "ch", "C", "CHE", "EL", "UK", "XX", "EU", "H ", "A "] {
            assert_eq!(text.parse::<Country>(), Err(CountryError), "{text:?}");
        }
        assert_eq!(ASSIGNED.split(' ').count(), 249);
        assert!(ASSIGNED.split(' ').is_sorted() && ASSIGNED.split(' ').all(|code| code.len() == 2));
    }

    #[test]
    fn is_in_eu_of_all_countries_is_true_for_27_members() {
        assert_eq!(Country::with_vat().count(), 31);
        assert_eq!(Country::with_vat().filter(|country| country.is_in_eu()).count(), 27);
        assert!(!Country::CH.is_in_eu() && Country::CH.vat_zone() == Some(Tz::Europe__Zurich));
        assert_eq!("US".parse::<Country>().map(Country::vat_zone), Ok(None));
    }
}
