//! The text form of recurring periods: `P30D`, as in ISO 8601.

use std::{fmt, str::FromStr};

use crate::money::period::{RecurringPeriod, Unit};

/// The error for a text that is not a valid recurring period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a recurring period as in P30D (30 days), PT1H (an hour), P1M (a month) or P1Y (a year); at most 1000 of them, and 50 years"
)]
pub struct PeriodTextError;

/// The largest count of the unit in a recurring period.
const MAX_COUNT: i32 = 1000;

impl fmt::Display for RecurringPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, unit) = match self.unit() {
            Unit::Hour => ("PT", 'H'),
            Unit::Day => ("P", 'D'),
            Unit::Month => ("P", 'M'),
            Unit::Year => ("P", 'Y'),
        };
        f.pad(&format!("{before}{}{unit}", self.count()))
    }
}

impl FromStr for RecurringPeriod {
    type Err = PeriodTextError;

    fn from_str(text: &str) -> Result<Self, PeriodTextError> {
        let rest = text.strip_prefix('P').ok_or(PeriodTextError)?;
        let (rest, units) = match rest.strip_prefix('T') {
            Some(rest) => (rest, [('H', Unit::Hour)].as_slice()),
            None => (rest, [('D', Unit::Day), ('M', Unit::Month), ('Y', Unit::Year)].as_slice()),
        };
        let (count, unit) = units
            .iter()
            .find_map(|(letter, unit)| Some((rest.strip_suffix(*letter)?, *unit)))
            .ok_or(PeriodTextError)?;
        // Accept neither a sign nor a leading zero, so that each period has one form.
        let number = count.parse().ok().filter(|number: &i32| number.to_string() == count && *number <= MAX_COUNT);
        Self::new(unit, number.ok_or(PeriodTextError)?).map_err(|_| PeriodTextError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_period_in_other_form_is_refused() {
        for text in ["P30D", "PT1H", "P1M", "P1Y", "P1000D", "P600M", "P50Y"] {
            assert_eq!(text.parse::<RecurringPeriod>().map(|period| period.to_string()), Ok(text.into()));
        }
        for wrong in [
            "", "30", "P", "P30", "30D", "P0D", "P01D", "P+1D", "P-1D", "P1H", "PT1M", "P1W", "p1d", "P1D ", "P1001D",
            "P601M", "P51Y",
        ] {
            assert_eq!(wrong.parse::<RecurringPeriod>(), Err(PeriodTextError), "{wrong:?}");
        }
    }
}
