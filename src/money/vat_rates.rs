//! VAT rates by territory and time. Rates apply to local dates of their territory; charges have points in time only.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{
    amount::{Currency, Rate},
    country::Country,
    period::instant,
    territory::Territory,
};

/// The standard rates of the European Union, CH, LI, GB and NO since 2011; `data/NOTICE` has their origin and
/// licence.
pub const EMBEDDED: &str = include_str!("data/vat_rates_clean.csv");

const HEADER: [&str; 7] =
    ["start_date", "stop_date", "territory_codes", "currency_code", "rate", "rate_type", "description"];

/// A standard rate and the dates on which it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateRow {
    /// The territory of the rate.
    pub territory: Territory,
    /// The first day of the rate.
    pub from: NaiveDate,
    /// The first day on which the rate no longer applies; `None` while it does.
    pub to: Option<NaiveDate>,
    /// The rate as a fraction.
    pub rate: Rate,
}

impl fmt::Display for RateRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} from {}", self.territory, self.rate, self.from)?;
        self.to.map_or(Ok(()), |to| write!(f, " to {to}"))
    }
}

/// The reason for which rates do not form a table, or a table has no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateTableError {
    /// The territory's time zone and rules are not known.
    #[error("{0} is not a territory with known VAT; known are {known}", known = known())]
    UnknownTerritory(Territory),
    /// The end is not after the start.
    #[error("a rate must end after it starts, or have no end: {0}")]
    Empty(RateRow),
    /// Two rates apply at the same time.
    #[error("a territory has one standard rate at a time, and these overlap: {0}; and {1}")]
    Overlap(RateRow, RateRow),
    /// No rate applies.
    #[error("no VAT rate of {territory} is known for {date}; `uncloud import-vat-rates FILE` adds it")]
    Missing {
        /// The territory without a rate.
        territory: Territory,
        /// The local date without a rate.
        date: NaiveDate,
    },
}

fn known() -> String {
    let mut codes: Vec<_> = Territory::with_vat().map(String::from).collect();
    codes.sort_unstable();
    codes.join(" ")
}

/// An error in a line of a file of rates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct RateFileError {
    /// The number of the row's first line, from 1.
    pub line: u64,
    /// The error and the accepted form.
    pub message: String,
}

/// Reads rates in the form of [`EMBEDDED`]: CSV with a header, one territory a row, standard rates only, an empty
/// `stop_date` while a rate applies. Returns each row with its description, which names the source of the figure.
/// [`RateTable::new`] checks whether rows overlap.
pub fn read(csv: &str) -> Result<Vec<(RateRow, String)>, RateFileError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(csv.as_bytes());
    let mut rows = Vec::new();
    let mut has_header = false;
    for record in reader.records() {
        let record = record.map_err(|error| RateFileError { line: 0, message: error.to_string() })?;
        let line = record.position().map_or(0, csv::Position::line);
        let at_line = |message| RateFileError { line, message };
        if has_header {
            rows.push(row(&record).map_err(at_line)?);
        } else if record.iter().eq(HEADER) {
            has_header = true;
        } else {
            return Err(at_line(format!("the header must be {}", HEADER.join(","))));
        }
    }
    if rows.is_empty() {
        return Err(RateFileError { line: 1, message: "must have a header and at least one rate".to_owned() });
    }
    Ok(rows)
}

fn row(record: &csv::StringRecord) -> Result<(RateRow, String), String> {
    let fields: Vec<_> = record.iter().collect();
    let [start, stop, territory, currency, rate, kind, source] = fields[..] else {
        return Err(format!("has {} fields; must have {}: {}", fields.len(), HEADER.len(), HEADER.join(",")));
    };
    if kind != "standard" {
        return Err(format!("rate_type {kind:?} must be standard: other rates are not supported"));
    }
    field::<Currency>("currency_code", currency)?;
    let row = RateRow {
        territory: field("territory_codes", territory)?,
        from: date("start_date", start)?,
        to: if stop.is_empty() { None } else { Some(date("stop_date", stop)?) },
        rate: field("rate", rate)?,
    };
    Ok((row, source.to_owned()))
}

fn field<T: FromStr<Err: fmt::Display>>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{name} {text:?} {error}"))
}

/// Parses a date of four, two and two digits: chrono alone would also accept `2025-1-1`.
fn date(name: &str, text: &str) -> Result<NaiveDate, String> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|date| date.to_string() == text);
    date.ok_or_else(|| format!("{name} {text:?} must be a date such as 2025-01-31"))
}

/// A table of all rates, by territory and time.
#[derive(Debug, Clone, Default)]
pub struct RateTable(BTreeMap<Territory, Rates>);

/// A rate and the span of time in which it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateSpan {
    /// The territory of the rate.
    pub territory: Territory,
    /// The first second.
    pub from: DateTime<Utc>,
    /// The first second after the span; `None`: there is none.
    pub to: Option<DateTime<Utc>>,
    /// The rate.
    pub rate: Rate,
}

/// The rates of one territory.
#[derive(Debug, Clone)]
struct Rates {
    /// The times from which each rate applies, in ascending order; `None` where there is a gap.
    steps: Vec<(DateTime<Utc>, Option<Rate>)>,
    /// The times of the steps.
    changes: Vec<DateTime<Utc>>,
}

impl Rates {
    /// Builds the steps from the territory's rows, which are ordered and do not overlap. Consecutive rows with the
    /// same rate form one step.
    fn new(zone: Tz, rows: &[RateRow]) -> Self {
        let midnight = |date: NaiveDate| instant(date.and_time(NaiveTime::MIN), zone);
        let mut steps: Vec<(DateTime<Utc>, Option<Rate>)> = Vec::new();
        for row in rows {
            let from = midnight(row.from);
            steps.pop_if(|(gap_from, _)| *gap_from == from);
            if steps.last().is_none_or(|(_, rate)| *rate != Some(row.rate)) {
                steps.push((from, Some(row.rate)));
            }
            steps.extend(row.to.map(|to| (midnight(to), None)));
        }
        let changes = steps.iter().map(|(from, _)| *from).collect();
        Self { steps, changes }
    }
}

impl RateTable {
    /// Builds the table of these rows, in any order.
    pub fn new(rows: impl IntoIterator<Item = RateRow>) -> Result<Self, RateTableError> {
        let mut territories: BTreeMap<Territory, Vec<RateRow>> = BTreeMap::new();
        for row in rows {
            if row.to.is_some_and(|to| to <= row.from) {
                return Err(RateTableError::Empty(row));
            }
            territories.entry(row.territory).or_default().push(row);
        }
        let mut table = BTreeMap::new();
        for (territory, mut rows) in territories {
            let zone = territory.vat_zone().ok_or(RateTableError::UnknownTerritory(territory))?;
            rows.sort_unstable_by_key(|row| row.from);
            for pair in rows.windows(2) {
                if pair[0].to.is_none_or(|to| to > pair[1].from) {
                    return Err(RateTableError::Overlap(pair[0], pair[1]));
                }
            }
            table.insert(territory, Rates::new(zone, &rows));
        }
        // Liechtenstein has Switzerland's rates by treaty (SR 0.641.295.142), so one import changes both.
        if let Some(swiss) = table.get(&Territory::from(Country::CH)).cloned() {
            table.insert(Country::LI.into(), swiss);
        }
        Ok(Self(table))
    }

    /// Returns the rate that applies in a territory at a time.
    pub fn rate_at(&self, territory: Territory, t: DateTime<Utc>) -> Result<Rate, RateTableError> {
        let rate = self.0.get(&territory).and_then(|rates| {
            let step = rates.changes.partition_point(|change| *change <= t).checked_sub(1)?;
            rates.steps[step].1
        });
        rate.ok_or_else(|| match territory.vat_zone() {
            Some(zone) => RateTableError::Missing { territory, date: t.with_timezone(&zone).date_naive() },
            None => RateTableError::UnknownTerritory(territory),
        })
    }

    /// Returns all rates with the spans in which they apply, without gaps; `None` as the end: for good.
    pub fn spans(&self) -> impl Iterator<Item = RateSpan> {
        self.0.iter().flat_map(|(territory, rates)| {
            let ends = rates.changes.iter().skip(1).map(|change| Some(*change)).chain([None]);
            rates
                .steps
                .iter()
                .zip(ends)
                .filter_map(|(&(from, rate), to)| Some(RateSpan { territory: *territory, from, to, rate: rate? }))
        })
    }

    /// Returns the times in `(from, to)` at which a territory's rate changes, in ascending order. The start and the
    /// end of a known rate are included.
    pub fn changes(&self, territory: Territory, from: DateTime<Utc>, to: DateTime<Utc>) -> &[DateTime<Utc>] {
        let all = self.0.get(&territory).map_or(&[][..], |rates| &rates.changes);
        let first = all.partition_point(|change| *change <= from);
        let end = all.partition_point(|change| *change < to);
        &all[first..end.max(first)]
    }
}

#[cfg(test)]
mod tests;
