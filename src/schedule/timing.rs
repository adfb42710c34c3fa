//! The due times of schedules: cron expressions in a time zone, and intervals.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};

use super::cron::CronText;

/// A time zone of the IANA database: as this machine knows it, so that its distribution keeps it up to date, else as the
/// program does (old names are in a package of their own on some machines).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(TimeZone::UTC);
}

/// The error of a text that is not a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time zone of the IANA database, as in Europe/Zurich or UTC")]
pub struct ZoneError;

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        let zone = TimeZone::get(text).or_else(|_| TimeZoneDatabase::bundled().get(text));
        zone.ok().filter(|zone| zone.iana_name() == Some(text)).map(Self).ok_or(ZoneError)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

/// The due times of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timing {
    /// By the wall clock of a place. A certain time in an hour that is skipped in spring is due right after it, and one in
    /// an hour that occurs twice in autumn is due once, but `*` minutes and hours continue through both.
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
            Self::Cron(cron, Zone(zone)) => {
                let after = Timestamp::from_second(after.timestamp()).ok()?;
                DateTime::from_timestamp(cron.next(after, zone)?.as_second(), 0)
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
            ("0 0 * * * UTC", "6 fields"),
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
    fn cron_at_several_skipped_wall_times_is_due_once_right_after() {
        // In 2027, clocks go forward on 28 March.
        let listed = cron("0 2,14 28 3 *", "Europe/Zurich");
        assert_eq!(next(&listed, "2027-01-01T00:00:00Z", 2), ["03-28 01:00:00", "03-28 12:00:00"]);
        let twice = cron("0,30 2 * * *", "Europe/Zurich");
        assert_eq!(next(&twice, "2027-03-28T00:00:00Z", 2), ["03-28 01:00:00", "03-29 00:00:00"]);
        let ranged = cron("15 1-3 28 3 *", "Europe/Zurich");
        assert_eq!(next(&ranged, "2027-03-27T12:00:00Z", 3), ["03-28 00:15:00", "03-28 01:00:00", "03-28 01:15:00"]);
        // What runs all the time skips what the clocks skip.
        let hourly = cron("*/30 * * * *", "Europe/Zurich");
        let times = next(&hourly, "2027-03-28T00:00:00Z", 3);
        assert_eq!(times, ["03-28 00:30:00", "03-28 01:00:00", "03-28 01:30:00"]);
        let minutely = cron("*/30 2 * * *", "Europe/Zurich");
        assert_eq!(next(&minutely, "2027-03-28T00:00:00Z", 1), ["03-29 00:00:00"]);
        // Half an hour, at Lord Howe Island: 02:00 to 02:30 of 4 October 2026 is skipped.
        let island = cron("15 2 * * *", "Australia/Lord_Howe");
        assert_eq!(next(&island, "2026-10-03T00:00:00Z", 1), ["10-03 15:30:00"]);
        // A whole day, in Samoa: 30 December 2011.
        let samoa = cron("0 12 30 12 *", "Pacific/Apia");
        assert_eq!(next(&samoa, "2011-12-01T00:00:00Z", 1), ["12-30 10:00:00"]);
    }

    #[test]
    fn cron_with_day_and_weekday_follows_crontab() {
        // Both, if one of them begins with an asterisk; 1 June 2026 is a Monday.
        let both = cron("0 3 */2 * 1", "UTC");
        assert_eq!(next(&both, "2026-06-01T03:00:00Z", 3), ["06-15 03:00:00", "06-29 03:00:00", "07-13 03:00:00"]);
        let either = cron("0 3 10,20 * 1", "UTC");
        assert_eq!(next(&either, "2026-06-01T03:00:00Z", 3), ["06-08 03:00:00", "06-10 03:00:00", "06-15 03:00:00"]);
        // A leap day on a Monday is 28 years after the last one.
        let rare = cron("0 0 */29 2 1", "UTC");
        let first = rare.next(at("2025-01-01T00:00:00Z"), at("2025-01-01T00:00:00Z")).expect("a time");
        assert_eq!(first, at("2027-02-01T00:00:00Z"));
        let last_days = cron("0 9 L * *", "UTC");
        assert_eq!(next(&last_days, "2026-11-30T00:00:00Z", 3), ["11-30 09:00:00", "12-31 09:00:00", "01-31 09:00:00"]);
        let december = cron("0 9 * * 5L", "UTC");
        assert_eq!(next(&december, "2026-12-01T00:00:00Z", 1), ["12-25 09:00:00"]);
        let last_friday = cron("0 9 * * 5L", "Europe/Zurich");
        assert_eq!(next(&last_friday, "2026-06-01T00:00:00Z", 1), ["06-26 07:00:00"]);
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
