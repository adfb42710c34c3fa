//! VAT territories. They are not countries: Monaco is taxed as France, the Canary Islands are in no VAT territory, and
//! Madeira has a rate of its own. Country and postal code of an address decide.

use std::{fmt, str::FromStr};

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::country::Country;

/// A territory with VAT rates: a country, or a part of one that has other rates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Territory {
    /// A whole country, but for the parts below.
    Country(Country),
    /// A part with other rates.
    Part(Part),
}

/// A part of a country that has VAT rates of its own (Directive 2006/112/EC, articles 104 and 105).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Jungholz and the Kleinwalsertal (Mittelberg) in Austria, which can be reached from Germany only.
    Jungholz,
    /// The Azores (ISO 3166-2 PT-20).
    Azores,
    /// Madeira (ISO 3166-2 PT-30).
    Madeira,
}

/// The error for a text that is not a territory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a country's two uppercase letters (ISO 3166-1), such as CH, or AT-6691, PT-20 or PT-30")]
pub struct TerritoryError;

impl Part {
    const ALL: [Self; 3] = [Self::Jungholz, Self::Azores, Self::Madeira];

    const fn code(self) -> &'static str {
        match self {
            Self::Jungholz => "AT-6691",
            Self::Azores => "PT-20",
            Self::Madeira => "PT-30",
        }
    }

    const fn zone(self) -> Tz {
        match self {
            Self::Jungholz => Tz::Europe__Vienna,
            Self::Azores => Tz::Atlantic__Azores,
            Self::Madeira => Tz::Atlantic__Madeira,
        }
    }
}

impl Territory {
    /// Returns the code as stored: that of the country, or of the part.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Country(country) => country.as_str(),
            Self::Part(part) => part.code(),
        }
    }

    /// Returns the country of the territory.
    pub fn country(self) -> Country {
        match self {
            Self::Country(country) => country,
            Self::Part(part) => part.code()[..2].parse().expect("the code of a part begins with its country's"),
        }
    }

    /// Returns the time zone in which the rates change at midnight; `None` if the territory's VAT is not known.
    pub fn vat_zone(self) -> Option<Tz> {
        match self {
            Self::Country(country) => country.vat_zone(),
            Self::Part(part) => Some(part.zone()),
        }
    }

    /// Returns all territories with known VAT.
    pub fn with_vat() -> impl Iterator<Item = Self> {
        Country::with_vat().map(Self::Country).chain(Part::ALL.map(Self::Part))
    }
}

impl From<Country> for Territory {
    fn from(country: Country) -> Self {
        Self::Country(country)
    }
}

impl FromStr for Territory {
    type Err = TerritoryError;

    fn from_str(text: &str) -> Result<Self, TerritoryError> {
        match Part::ALL.into_iter().find(|part| part.code() == text) {
            Some(part) => Ok(Self::Part(part)),
            None => text.parse().map(Self::Country).map_err(|_| TerritoryError),
        }
    }
}

impl TryFrom<String> for Territory {
    type Error = TerritoryError;

    fn try_from(text: String) -> Result<Self, TerritoryError> {
        text.parse()
    }
}

impl From<Territory> for String {
    fn from(territory: Territory) -> Self {
        territory.as_str().to_owned()
    }
}

impl fmt::Display for Territory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Territory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The VAT area that an address lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// The VAT territory of Switzerland, which includes Liechtenstein.
    Switzerland(Territory),
    /// The VAT territory of the European Union.
    Union(Territory),
    /// Neither of the two.
    Elsewhere,
}

/// The error for an address whose postal code is missing although it decides the VAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is missing: in {0} it decides the VAT, because addresses in {1} are taxed differently")]
pub struct PostalCodeMissing(pub Country, pub &'static str);

/// The territory of an address with such a postal code.
#[derive(Clone, Copy)]
enum Is {
    /// Part of no VAT territory.
    Outside,
    /// Part of a country's territory.
    Of(&'static str),
    /// Part of its country's, with other rates.
    Part(Part),
}

/// A special territory: the country of its addresses, how their postal codes begin, its name, and what it is.
struct Special(&'static str, &'static [&'static str], &'static str, Is);

/// All territories that are taxed otherwise than the rest of the country in their postal addresses.
///
/// Left out on purpose: the Italian waters of Lake Lugano, where nobody has an address; Northern Ireland, which belongs
/// to the Union for goods only; Samnaun, where services are taxed as in the rest of Switzerland (MWSTG, article 4); the
/// Greek islands, whose lower rates apply to services of suppliers established there only (AADE, circular E.2113/2025).
const SPECIAL: &[Special] = {
    use Is::{Of, Outside, Part as As};
    use Part::{Azores, Jungholz, Madeira};
    &[
        // Directive 2006/112/EC, article 6(1): in the customs territory of the Union, in no VAT territory.
        Special("GR", &["63086", "63087"], "Mount Athos", Outside),
        Special("ES", &["35", "38"], "the Canary Islands", Outside),
        Special("FR", &["971", "972", "973", "974", "976"], "an overseas department", Outside),
        Special("FI", &["22"], "Åland", Outside),
        Special("IT", &["22061"], "Campione d'Italia", Outside),
        Special("CH", &["6911"], "Campione d'Italia", Outside),
        // Article 6(2): in neither of the two.
        Special("DE", &["27498"], "Heligoland", Outside),
        Special("ES", &["51"], "Ceuta", Outside),
        Special("ES", &["52"], "Melilla", Outside),
        Special("IT", &["23041"], "Livigno", Outside),
        // Article 6(2) again, and Switzerland's by MWSTG (SR 641.20), article 3, letter a, as is Liechtenstein.
        Special("DE", &["78266"], "Büsingen", Of("CH")),
        Special("CH", &["8238"], "Büsingen", Of("CH")),
        Special("CH", &["9485", "9486", "9487", "9488", "949"], "Liechtenstein", Of("LI")),
        // Article 7: part of a member state's territory.
        Special("MC", &[""], "Monaco", Of("FR")),
        Special("GB", &["BFPO53", "BFPO57", "BFPO58", "BFPO59"], "Akrotiri or Dhekelia", Of("CY")),
        // Articles 104 and 105: rates of their own.
        Special("AT", &["6691", "6991", "6992", "6993"], "Jungholz or the Kleinwalsertal", As(Jungholz)),
        Special("DE", &["87491", "87567", "87568", "87569"], "Jungholz or the Kleinwalsertal", As(Jungholz)),
        Special("PT", &["90", "91", "92", "93", "94"], "Madeira", As(Madeira)),
        Special("PT", &["95", "96", "97", "98", "99"], "the Azores", As(Azores)),
        // States and territories to which the treaties do not apply (TEU, article 52; TFEU, articles 204 and 355), with
        // postal codes of a member state.
        Special("DK", &["39"], "Greenland", Outside),
        Special("FR", &["975", "977", "978", "984", "986", "987", "988"], "an overseas territory", Outside),
        Special("IT", &["4789"], "San Marino", Outside),
        Special("IT", &["00120"], "the Vatican City", Outside),
    ]
};

/// Returns the area of an address.
///
/// Postal codes are compared without separators and prefix. A member state with a special territory requires one.
pub fn area(country: Country, postal_code: &str) -> Result<Area, PostalCodeMissing> {
    let code = bare(country, postal_code);
    let mut rules = SPECIAL.iter().filter(|Special(of, ..)| *of == country.as_str());
    if code.is_empty() && country.needs_postal_code() {
        let name = rules.next().map_or("a part", |Special(_, _, name, _)| name);
        return Err(PostalCodeMissing(country, name));
    }
    let found = rules.find(|Special(_, starts, ..)| starts.iter().any(|start| code.starts_with(start)));
    let territory = match found.map(|Special(.., is)| is) {
        Some(Is::Outside) => return Ok(Area::Elsewhere),
        Some(Is::Part(part)) => Territory::Part(*part),
        Some(Is::Of(other)) => Territory::Country(other.parse().expect("the table has codes of countries")),
        None => Territory::Country(country),
    };
    Ok(match territory.country() {
        Country::CH | Country::LI => Area::Switzerland(territory),
        country if country.is_in_eu() => Area::Union(territory),
        _ => Area::Elsewhere,
    })
}

impl Country {
    /// Returns true if an address needs its postal code, so that its VAT can be determined: in the member states of the
    /// Union with a special territory.
    pub fn needs_postal_code(self) -> bool {
        self.is_in_eu() && SPECIAL.iter().any(|Special(of, ..)| *of == self.as_str())
    }
}

/// Returns the country whose VAT numbers the businesses at an address have: in the Union, that of the VAT territory. Those of
/// Monaco have French numbers, those of the Kleinwalsertal Austrian ones.
pub fn country_of_vat_numbers(country: Country, postal_code: &str) -> Country {
    match area(country, postal_code) {
        Ok(Area::Union(territory)) => territory.country(),
        _ => country,
    }
}

/// Returns a postal code in one form: uppercase, without separators, and without letters before its digits, as in
/// `DE-78266`. British codes keep theirs.
fn bare(country: Country, postal_code: &str) -> String {
    let code: String = postal_code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    if country.as_str() == "GB" {
        return code;
    }
    code.trim_start_matches(|c: char| c.is_ascii_uppercase()).to_owned()
}

#[cfg(test)]
mod tests;
