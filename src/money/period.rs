//! Recurring periods and their boundaries. Times are whole seconds of UTC, spans are half-open: `[from, to)`.
//!
//! Hours and days have a fixed number of seconds. Months and years follow the calendar in the seller's time zone, and
//! each boundary is counted from the order's start, never from the previous boundary: 31 January, 29 February, 31
//! March. A wall time that the switch to summer time skips moves forward by the skipped time (02:30 becomes 03:30);
//! of a wall time that occurs twice, the first is used.

use chrono::{DateTime, Datelike, MappedLocalTime, Months, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

const HOUR_SECS: i64 = 3600;
const DAY_SECS: i64 = 24 * HOUR_SECS;
/// The length of a month in price comparisons: a twelfth of a year of 365 days, a whole number of seconds.
const NOMINAL_MONTH_SECS: i64 = 365 * DAY_SECS / 12;
/// The longest period: more than any customer pays for at once, and its seconds fit into a column of the database.
const MAX_SECS: i64 = 50 * 12 * NOMINAL_MONTH_SECS;

/// The latest boundary; later ones are moved here, because RFC 3339 has no year after 9999.
pub const LAST: DateTime<Utc> = DateTime::from_timestamp(253_402_300_799, 0).expect("a time of the year 9999");

/// The unit of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase", type_name = "text")]
pub enum Unit {
    /// An hour of 3,600 seconds.
    Hour,
    /// A day of 86,400 seconds, also when the clocks change.
    Day,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

/// A recurring period, such as 30 days or a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct RecurringPeriod {
    unit: Unit,
    count: u16,
}

/// The JSON form of a period.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    unit: Unit,
    count: i32,
}

/// The error for an invalid period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must count 1 to 9999 hours, days, months or years, and last 50 years at most")]
pub struct PeriodError;

/// The position of a time within the periods of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The number of periods that are over.
    pub whole: u32,
    /// The elapsed seconds of the current period; less than its length.
    pub into_seconds: i64,
    /// The length of the current period in seconds.
    pub period_seconds: i64,
}

/// The length of a period, in the unit in which it is exact.
#[derive(Clone, Copy)]
enum Length {
    Secs(i64),
    Months(u32),
}

impl RecurringPeriod {
    /// Returns a period of `count` units.
    pub fn new(unit: Unit, count: i32) -> Result<Self, PeriodError> {
        let count = u16::try_from(count).ok().filter(|count| (1..=9999).contains(count)).ok_or(PeriodError)?;
        Some(Self { unit, count }).filter(|period| period.nominal_seconds() <= MAX_SECS).ok_or(PeriodError)
    }

    /// Returns the unit.
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// Returns the number of units.
    pub fn count(self) -> i32 {
        self.count.into()
    }

    fn length(self) -> Length {
        match self.unit {
            Unit::Hour => Length::Secs(i64::from(self.count) * HOUR_SECS),
            Unit::Day => Length::Secs(i64::from(self.count) * DAY_SECS),
            Unit::Month => Length::Months(self.count.into()),
            Unit::Year => Length::Months(u32::from(self.count) * 12),
        }
    }

    /// Returns the length in seconds by which prices are compared: exact for hours and days, nominal (a year has 365
    /// days and twelve equal months) for months and years.
    pub fn nominal_seconds(self) -> i64 {
        match self.length() {
            Length::Secs(secs) => secs,
            Length::Months(months) => i64::from(months) * NOMINAL_MONTH_SECS,
        }
    }

    /// Returns true if the charges of a run may be combined into one record: there would be too many to read one by
    /// one.
    pub fn is_shorter_than_a_day(self) -> bool {
        self.nominal_seconds() < DAY_SECS
    }

    /// Returns the boundary at which the n-th period ends and the next starts; the boundary 0 is the start itself. At
    /// most [`LAST`].
    pub fn boundary(self, starts_at: DateTime<Utc>, n: u32, zone: Tz) -> DateTime<Utc> {
        match self.length() {
            _ if n == 0 => starts_at,
            Length::Secs(secs) => plus_seconds(starts_at, secs * i64::from(n)),
            Length::Months(months) => {
                let wall = starts_at.with_timezone(&zone).naive_local();
                let later = months.checked_mul(n).and_then(|months| wall.checked_add_months(Months::new(months)));
                later.filter(|wall| wall.year() < LAST.year()).map_or(LAST, |wall| instant(wall, zone))
            }
        }
    }

    /// Returns the position of `t` in the periods since the start; for a time before the start, no time has elapsed.
    pub fn position(self, starts_at: DateTime<Utc>, t: DateTime<Utc>, zone: Tz) -> Position {
        let last_start = LAST - TimeDelta::seconds(1);
        let (starts_at, t) = (starts_at.min(last_start), t.clamp(starts_at.min(last_start), last_start));
        match self.length() {
            Length::Secs(period_seconds) => {
                let passed = secs_between(starts_at, t);
                let whole = u32::try_from(passed / period_seconds).expect("hours until the year 9999 fit");
                Position { whole, into_seconds: passed % period_seconds, period_seconds }
            }
            Length::Months(months) => {
                let mut whole = months_between(starts_at, t, zone) / months;
                let mut from = self.boundary(starts_at, whole, zone);
                // At `t`, the day of the month, the hour, or the second occurrence of a wall time may still be ahead.
                while from > t {
                    whole -= 1;
                    from = self.boundary(starts_at, whole, zone);
                }
                let mut to = self.boundary(starts_at, whole + 1, zone);
                while to <= t {
                    whole += 1;
                    (from, to) = (to, self.boundary(starts_at, whole + 1, zone));
                }
                Position { whole, into_seconds: secs_between(from, t), period_seconds: secs_between(from, to) }
            }
        }
    }

    /// Returns the first boundary that is not before `t`.
    pub fn boundary_from(self, starts_at: DateTime<Utc>, t: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        let position = self.position(starts_at, t, zone);
        self.boundary(starts_at, position.whole + u32::from(position.into_seconds > 0), zone)
    }
}

impl TryFrom<Form> for RecurringPeriod {
    type Error = PeriodError;

    fn try_from(form: Form) -> Result<Self, PeriodError> {
        Self::new(form.unit, form.count)
    }
}

impl From<RecurringPeriod> for Form {
    fn from(period: RecurringPeriod) -> Self {
        Self { unit: period.unit, count: period.count() }
    }
}

/// Returns the whole seconds between two times.
pub(super) const fn secs_between(from: DateTime<Utc>, to: DateTime<Utc>) -> i64 {
    to.timestamp() - from.timestamp()
}

/// Returns the time `secs` seconds later, at most [`LAST`].
pub(super) fn plus_seconds(t: DateTime<Utc>, secs: i64) -> DateTime<Utc> {
    TimeDelta::try_seconds(secs).and_then(|secs| t.checked_add_signed(secs)).map_or(LAST, |later| later.min(LAST))
}

/// Counts the months by their names only: from the 31st to the 1st of the next month is one month.
fn months_between(from: DateTime<Utc>, to: DateTime<Utc>, zone: Tz) -> u32 {
    let month = |t: DateTime<Utc>| {
        let date = t.with_timezone(&zone).date_naive();
        date.year() * 12 + date.month0().cast_signed()
    };
    u32::try_from(month(to) - month(from)).unwrap_or(0)
}

/// Returns the time at which clocks in the zone show this: the first such time if there are two; if there is none,
/// the time as if the clocks had not been put forward yet.
pub fn instant(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        MappedLocalTime::Single(t) | MappedLocalTime::Ambiguous(t, _) => t.to_utc(),
        MappedLocalTime::None => {
            let before = zone.offset_from_utc_datetime(&(wall - TimeDelta::days(1))).fix();
            (wall - before).and_utc()
        }
    }
}

#[cfg(test)]
mod tests;
