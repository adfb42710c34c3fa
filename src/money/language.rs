//! The languages of bills, and dates and periods in them.

use std::{fmt, str::FromStr};

use chrono::{Datelike as _, NaiveDate};
use serde::{Deserialize, Serialize};

use super::period::{RecurringPeriod, Unit};

/// A language of bills, by its ISO 639-1 code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase", type_name = "text")]
pub enum Language {
    /// German.
    De,
    /// French.
    Fr,
    /// Italian.
    It,
    /// English.
    #[default]
    En,
}

/// The error for a text that is not a language of bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be de, fr, it or en")]
pub struct LanguageError;

impl Language {
    /// All languages.
    pub const ALL: [Self; 4] = [Self::De, Self::Fr, Self::It, Self::En];

    /// Returns the code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::De => "de",
            Self::Fr => "fr",
            Self::It => "it",
            Self::En => "en",
        }
    }

    /// Returns the one of four texts that is in this language.
    pub const fn pick<'a>(self, de: &'a str, fr: &'a str, it: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::De => de,
            Self::Fr => fr,
            Self::It => it,
            Self::En => en,
        }
    }

    const fn months(self) -> [&'static str; 12] {
        match self {
            Self::De => {
                ["Jan.", "Feb.", "März", "April", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."]
            }
            Self::Fr => {
                ["janv.", "févr.", "mars", "avril", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."]
            }
            Self::It => ["gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic"],
            Self::En => ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
        }
    }

    /// Returns the days from the first to the last one, as in `15 Mar - 13 Apr 2026`; one day if they are the same.
    pub fn days(self, first: NaiveDate, last: NaiveDate) -> String {
        let day = |date: NaiveDate| {
            let ordinal = match (self, date.day()) {
                (Self::De, _) => ".",
                (Self::Fr, 1) => "er",
                _ => "",
            };
            format!("{}{ordinal} {}", date.day(), self.months()[date.month0() as usize])
        };
        if first == last {
            format!("{} {}", day(last), last.year())
        } else if first.year() == last.year() {
            format!("{} - {} {}", day(first), day(last), last.year())
        } else {
            format!("{} {} - {} {}", day(first), first.year(), day(last), last.year())
        }
    }

    /// Returns the name of a unit of time, in the form that the number before it requires.
    pub const fn unit(self, unit: Unit, is_one: bool) -> &'static str {
        match (unit, is_one) {
            (Unit::Hour, true) => self.pick("Stunde", "heure", "ora", "hour"),
            (Unit::Hour, false) => self.pick("Stunden", "heures", "ore", "hours"),
            (Unit::Day, true) => self.pick("Tag", "jour", "giorno", "day"),
            (Unit::Day, false) => self.pick("Tage", "jours", "giorni", "days"),
            (Unit::Month, true) => self.pick("Monat", "mois", "mese", "month"),
            (Unit::Month, false) => self.pick("Monate", "mois", "mesi", "months"),
            (Unit::Year, true) => self.pick("Jahr", "an", "anno", "year"),
            (Unit::Year, false) => self.pick("Jahre", "ans", "anni", "years"),
        }
    }

    /// Returns a period, as in `30 days`; `month` for one of them.
    pub fn period(self, period: RecurringPeriod) -> String {
        match period.count() {
            1 => self.unit(period.unit(), true).to_owned(),
            count => format!("{count} {}", self.unit(period.unit(), false)),
        }
    }
}

impl FromStr for Language {
    type Err = LanguageError;

    fn from_str(text: &str) -> Result<Self, LanguageError> {
        Self::ALL.into_iter().find(|language| language.as_str() == text).ok_or(LanguageError)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_name_each_year_once() {
        let date = |text: &str| text.parse::<NaiveDate>().expect("a date");
        let days = |language: Language, first, last| language.days(date(first), date(last));
        for (language, expected) in [
            (Language::En, "15 Mar - 13 Apr 2026"),
            (Language::De, "15. März - 13. April 2026"),
            (Language::Fr, "15 mars - 13 avril 2026"),
            (Language::It, "15 mar - 13 apr 2026"),
        ] {
            assert_eq!(days(language, "2026-03-15", "2026-04-13"), expected);
        }
        assert_eq!(days(Language::En, "2026-03-15", "2026-03-15"), "15 Mar 2026");
        assert_eq!(days(Language::Fr, "2026-01-01", "2026-01-30"), "1er janv. - 30 janv. 2026");
        assert_eq!(days(Language::En, "2025-12-31", "2026-01-30"), "31 Dec 2025 - 30 Jan 2026");
    }

    #[test]
    fn period_of_one_unit_needs_no_number() {
        let period = |unit, count| RecurringPeriod::new(unit, count).expect("a period");
        assert_eq!(Language::De.period(period(Unit::Month, 1)), "Monat");
        assert_eq!(Language::It.period(period(Unit::Day, 30)), "30 giorni");
        assert_eq!("fr".parse(), Ok(Language::Fr));
        assert_eq!("rm".parse::<Language>(), Err(LanguageError));
    }
}
