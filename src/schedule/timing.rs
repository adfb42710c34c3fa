//! The due times of schedules: cron expressions in a time zone, and intervals.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use croner::{
    errors::CronError as Wrong,
    parser::{CronParser, Seconds, Year},
};

/// The longest expression; people do not write longer ones.
const MAX_CRON: usize = 200;

/// A cron expression of five fields: minute, hour, day of the month, month, day of the week; see crontab(5). `L`, `W`
/// and `#` are supported as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronText {
    text: String,
    cron: Box<croner::Cron>,
}

/// The error of a text that is not a cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be minute, hour, day of the month, month and day of the week, as in \"17 3 * * mon-fri\": {0}")]
pub struct CronError(String);

impl FromStr for CronText {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        if text.len() > MAX_CRON || text.chars().any(char::is_control) {
            return Err(CronError(format!("it must be one line of at most {MAX_CRON} characters")));
        }
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let fields = text.split(' ').count();
        if fields != 5 && !text.starts_with('@') {
            return Err(CronError(format!("it has {} fields", if text.is_empty() { 0 } else { fields })));
        }
        let cron = parsed(&text).map_err(|error| CronError(wrong_field(&text).unwrap_or(error)))?;
        // Such as the 30th of February. The start of the search does not matter: the calendar repeats itself.
        if cron.find_next_occurrence(&DateTime::UNIX_EPOCH, false).is_err() {
            return Err(CronError("no such day exists".to_owned()));
        }
        Ok(Self { text, cron: Box::new(cron) })
    }
}

fn parsed(text: &str) -> Result<croner::Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).map_err(|error| match error {
        Wrong::ComponentError(why) | Wrong::InvalidPattern(why) | Wrong::IllegalCharacters(why) => why,
        other => other.to_string(),
    })
}

/// Returns the first field that is invalid by itself, with the reason.
fn wrong_field(text: &str) -> Option<String> {
    const NAMES: [&str; 5] = ["minute", "hour", "day of the month", "month", "day of the week"];
    text.split(' ').zip(NAMES).enumerate().find_map(|(place, (field, name))| {
        let mut alone = ["*"; NAMES.len()];
        alone[place] = field;
        let why = parsed(&alone.join(" ")).err()?;
        Some(format!("{field:?} is not a valid {name} ({})", why.trim_end_matches('.')))
    })
}

impl fmt::Display for CronText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A time zone of the IANA database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(chrono_tz::Tz);

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(chrono_tz::UTC);
}

/// The error of a text that is not a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time zone of the IANA database, as in Europe/Zurich or UTC")]
pub struct ZoneError;

impl From<chrono_tz::Tz> for Zone {
    fn from(zone: chrono_tz::Tz) -> Self {
        Self(zone)
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        text.parse().map(Self).map_err(|_| ZoneError)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

/// The due times of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timing {
    /// By the wall clock of a place. A time in an hour that is skipped in spring is due right after it; a time in an
    /// hour that occurs twice in autumn is due once, but `*` minutes and hours continue through both.
    Cron(CronText, Zone),
    /// The given number of seconds after the last due time.
    Every(u32),
}

impl Timing {
    /// Returns the first due time after `after`. Intervals are counted from `due`, an earlier one, so that they stay
    /// regular.
    ///
    /// None at the end of the calendar.
    pub fn next(&self, after: DateTime<Utc>, due: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Cron(CronText { cron, .. }, Zone(zone)) => {
                let next = cron.find_next_occurrence(&after.with_timezone(zone), false).ok()?;
                Some(next.to_utc())
            }
            Self::Every(secs) => {
                let passed = (after - due).num_seconds().max(0) / i64::from(*secs);
                due.checked_add_signed(TimeDelta::try_seconds((passed + 1) * i64::from(*secs))?)
            }
        }
    }

    /// Returns `first`, and the due times after it.
    pub fn following(&self, first: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        std::iter::successors(Some(first), |last| self.next(*last, *last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn cron(text: &str, zone: &str) -> Timing {
        Timing::Cron(text.parse().expect("an expression"), zone.parse().expect("a zone"))
    }

    fn next(timing: &Timing, after: &str, count: usize) -> Vec<String> {
        let first = timing.next(at(after), at(after)).expect("a time");
        timing.following(first).take(count).map(|time| time.format("%m-%d %H:%M:%S").to_string()).collect()
    }

    #[test]
    fn parse_invalid_expression_is_refused_with_a_valid_example() {
        let long = "1,".repeat(150);
        for (wrong, why) in [
            ("", "0 fields"),
            ("* * * *", "4 fields"),
            ("0 0 3 * * *", "6 fields"),
            ("60 * * * *", "\"60\" is not a valid minute"),
            ("* 24 * * *", "\"24\" is not a valid hour"),
            ("0 0 30 2 *", "no such day"),
            ("0 0 * * fry", "\"fry\" is not a valid day of the week"),
            ("0 0 * 13 *", "\"13\" is not a valid month"),
            ("*/0 * * * *", "\"*/0\" is not a valid minute"),
            ("@never", ""),
            ("0 0 * *\n*", "one line"),
            (&long, "200"),
        ] {
            let error = wrong.parse::<CronText>().expect_err(wrong).to_string();
            assert!(error.contains(why) && error.contains("17 3 * * mon-fri"), "{wrong:?}: {error}");
        }
        for right in ["17 3 * * mon-fri", " 0  0 1 * * ", "*/5 * * * *", "0 0 29 2 *", "0 9 l * *", "@daily"] {
            right.parse::<CronText>().expect(right);
        }
        assert_eq!(" 0  0 1 * * ".parse::<CronText>().expect("valid").to_string(), "0 0 1 * *");
        for wrong in ["", "Zurich", "europe/zurich", "+01:00", "Europe/Zurich "] {
            assert_eq!(wrong.parse::<Zone>(), Err(ZoneError), "{wrong:?}");
        }
        assert_eq!("Europe/Zurich".parse::<Zone>().map(|zone| zone.to_string()), Ok("Europe/Zurich".into()));
    }

    #[test]
    fn cron_in_a_time_zone_follows_its_wall_clock() {
        let daily = cron("30 8 * * *", "Europe/Zurich");
        assert_eq!(next(&daily, "2026-03-28T00:00:00Z", 3), ["03-28 07:30:00", "03-29 06:30:00", "03-30 06:30:00"]);
        assert_eq!(next(&daily, "2026-10-24T12:00:00Z", 2), ["10-25 07:30:00", "10-26 07:30:00"]);
    }

    #[test]
    fn cron_at_a_skipped_wall_time_is_due_once_right_after() {
        // 02:00 to 03:00 of 2026-03-29 does not exist in Zurich: 01:00Z is 03:00 there.
        let nightly = cron("30 2 * * *", "Europe/Zurich");
        assert_eq!(next(&nightly, "2026-03-28T00:00:00Z", 3), ["03-28 01:30:00", "03-29 01:00:00", "03-30 00:30:00"]);
    }

    #[test]
    fn cron_at_a_repeated_wall_time_is_due_once() {
        // 02:00 to 03:00 of 2026-10-25 occurs twice in Zurich, at 00:00Z and at 01:00Z.
        let nightly = cron("30 2 * * *", "Europe/Zurich");
        assert_eq!(next(&nightly, "2026-10-24T12:00:00Z", 2), ["10-25 00:30:00", "10-26 01:30:00"]);
        // Also when a server checks in between the two.
        assert_eq!(next(&nightly, "2026-10-25T00:45:00Z", 1), ["10-26 01:30:00"]);
        let always = cron("*/30 * * * *", "Europe/Zurich");
        let through = ["10-25 00:30:00", "10-25 01:00:00", "10-25 01:30:00", "10-25 02:00:00"];
        assert_eq!(next(&always, "2026-10-25T00:00:00Z", 4), through);
    }

    #[test]
    fn next_is_later_and_a_whole_second() {
        let always = cron("* * * * *", "UTC");
        assert_eq!(next(&always, "2026-01-01T00:00:00Z", 1), ["01-01 00:01:00"]);
        assert_eq!(next(&always, "2026-01-01T00:00:59.999Z", 1), ["01-01 00:01:00"]);
        let leap_day = cron("0 0 29 2 *", "UTC");
        assert_eq!(
            leap_day.next(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z")),
            Some(at("2028-02-29T00:00:00Z"))
        );
    }

    #[test]
    fn interval_after_missed_due_times_skips_them_and_stays_regular() {
        let minute = Timing::Every(60);
        let due = at("2026-01-01T00:00:05Z");
        let next = |after: &str| minute.next(at(after), due).map(|time| time.to_rfc3339());
        assert_eq!(next("2026-01-01T00:00:05Z").as_deref(), Some("2026-01-01T00:01:05+00:00"));
        assert_eq!(next("2026-01-01T00:00:04Z").as_deref(), Some("2026-01-01T00:01:05+00:00"), "the clock went back");
        assert_eq!(next("2026-01-01T05:00:04.5Z").as_deref(), Some("2026-01-01T05:00:05+00:00"));
        assert_eq!(next("2026-01-01T05:00:05Z").as_deref(), Some("2026-01-01T05:01:05+00:00"));
    }
}
