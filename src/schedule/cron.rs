//! Cron expressions, as crontab(5) of Debian defines them.

use std::{fmt, str::FromStr};

use chrono::{DateTime as Moment, Utc};
use croner::{
    errors::CronError as Wrong,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    Timestamp, ToSpan as _,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

/// The longest expression; people do not write longer ones.
const MAX_CRON: usize = 200;

/// A cron expression of five fields: minute, hour, day of the month, month, day of the week; see crontab(5). `L`, `W`
/// and `#` are supported as well. Day of the month and day of the week must both match if one of them begins with `*`;
/// otherwise one of them is enough.
#[derive(Debug, Clone)]
pub struct CronText {
    text: String,
    /// Matched against wall times as if they were UTC.
    wall: Box<croner::Cron>,
    /// True if minute or hour begins with `*`: due again and again, and not at a certain time.
    is_running: bool,
}

impl PartialEq for CronText {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CronText {}

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
        let fields: Vec<&str> = text.split(' ').filter(|field| !field.is_empty()).collect();
        if fields.len() != FIELDS.len() && !text.starts_with('@') {
            return Err(CronError(format!("it has {} fields", fields.len())));
        }
        let wall = parsed(&fields).map_err(|error| CronError(wrong_field(&fields).unwrap_or(error)))?;
        let is_running = match fields.as_slice() {
            [minute, hour, ..] => minute.starts_with('*') || hour.starts_with('*'),
            _ => text.eq_ignore_ascii_case("@hourly"),
        };
        let cron = Self { wall: Box::new(wall), is_running, text };
        // Such as the 30th of February. The start of the search does not matter: the calendar repeats itself.
        if cron.next_wall(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).is_none() {
            return Err(CronError("no such day exists".to_owned()));
        }
        Ok(cron)
    }
}

/// The fields of an expression.
const FIELDS: [&str; 5] = ["minute", "hour", "day of the month", "month", "day of the week"];

fn parsed(fields: &[&str]) -> Result<croner::Cron, String> {
    // Both days must match if one of them begins with an asterisk.
    let is_open = |field: &&&str| field.starts_with(['*', '?']);
    let both = fields.len() == FIELDS.len() && [&fields[2], &fields[4]].iter().any(is_open);
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).dom_and_dow(both).build();
    parser.parse(&fields.join(" ")).map_err(|error| match error {
        Wrong::ComponentError(why) | Wrong::InvalidPattern(why) | Wrong::IllegalCharacters(why) => why,
        other => other.to_string(),
    })
}

/// Returns the first field that is invalid by itself, with the reason.
fn wrong_field(fields: &[&str]) -> Option<String> {
    fields.iter().zip(FIELDS).enumerate().find_map(|(place, (field, name))| {
        let mut alone = ["*"; FIELDS.len()];
        alone[place] = field;
        let why = parsed(&alone).err()?;
        Some(format!("{field:?} is not a valid {name} ({})", why.trim_end_matches('.')))
    })
}

impl fmt::Display for CronText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl CronText {
    /// Returns the first due time after `after` by the clocks of `zone`.
    ///
    /// As in crontab(5), what is due at a certain time and falls into an hour that clocks skip is due right after it, and
    /// in an hour that they show twice, only the first time. Expressions with `*` as minute or hour follow the clock.
    pub(super) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.is_running { self.next_running(after, zone) } else { self.next_fixed(after, zone) }
    }

    fn next_fixed(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // What is in a skipped hour comes right after it, so a search must begin before it.
        let mut wall = zone.to_datetime(after.checked_sub(24.hours()).ok()?);
        loop {
            wall = self.next_wall(wall)?;
            let ambiguous = zone.to_ambiguous_timestamp(wall);
            let due = match ambiguous.offset() {
                AmbiguousOffset::Gap { before, .. } => {
                    let in_gap = before.to_timestamp(wall).ok()?;
                    zone.preceding(in_gap.checked_add(1.second()).ok()?).next()?.timestamp()
                }
                AmbiguousOffset::Fold { .. } | AmbiguousOffset::Unambiguous { .. } => ambiguous.earlier().ok()?,
            };
            if due > after {
                return Some(due);
            }
        }
    }

    fn next_running(&self, mut after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        loop {
            let offset = zone.to_offset(after);
            let change = zone.following(after).next().map(|change| change.timestamp());
            let due = offset.to_timestamp(self.next_wall(offset.to_datetime(after))?).ok()?;
            match change {
                // The clocks change before that: go on by the new ones, from just before the change.
                Some(change) if change <= due => {
                    let offset = zone.to_offset(change);
                    let before = offset.to_datetime(change).checked_sub(1.second()).ok()?;
                    if offset.to_timestamp(self.next_wall(before)?).ok()? == change {
                        return Some(change);
                    }
                    after = change;
                }
                _ => return Some(due),
            }
        }
    }

    /// Returns the first matching wall time after `after`.
    fn next_wall(&self, after: DateTime) -> Option<DateTime> {
        let after = after.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        let next = self.wall.find_next_occurrence(&Moment::<Utc>::from_timestamp(after, 0)?, false).ok()?;
        Some(TimeZone::UTC.to_datetime(Timestamp::from_second(next.timestamp()).ok()?))
    }
}
