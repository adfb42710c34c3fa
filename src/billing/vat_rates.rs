//! Which VAT rate holds when. Rates hold for local dates of their territory; charges know instants only.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{
    country::Country,
    money::{Currency, Rate},
    period::instant,
};

/// The standard rates of the European Union, CH, LI, GB and NO since 2011; origin and licence are in `data/NOTICE`.
pub const EMBEDDED: &str = include_str!("data/vat_rates_clean.csv");

const HEADER: [&str; 7] =
    ["start_date", "stop_date", "territory_codes", "currency_code", "rate", "rate_type", "description"];

/// A standard rate and when it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateRow {
    /// Where.
    pub territory: Country,
    /// The first day.
    pub from: NaiveDate,
    /// The first day on which it no longer holds; none while it does.
    pub to: Option<NaiveDate>,
    /// How much.
    pub rate: Rate,
}

impl fmt::Display for RateRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} from {}", self.territory, self.rate, self.from)?;
        self.to.map_or(Ok(()), |to| write!(f, " to {to}"))
    }
}

/// Why rates make no table, or a table has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateTableError {
    /// We know neither its zone nor its rules.
    #[error("{0} is a territory without VAT that we know; known are {known}", known = known())]
    UnknownTerritory(Country),
    /// The end is not after the start.
    #[error("a rate must end after it starts, or have no end: {0}")]
    Empty(RateRow),
    /// Two rates at once.
    #[error("a territory has one standard rate at a time, and these overlap: {0}; and {1}")]
    Overlap(RateRow, RateRow),
    /// No rate holds.
    #[error("no VAT rate of {territory} is known for {date}; `uncloud import-vat-rates FILE` adds it")]
    Missing {
        /// Where.
        territory: Country,
        /// The local date.
        date: NaiveDate,
    },
}

fn known() -> String {
    let mut codes: Vec<_> = Country::with_vat().map(String::from).collect();
    codes.sort_unstable();
    codes.join(" ")
}

/// What is wrong with a line of a file of rates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct RateFileError {
    /// The first line of the row, from 1.
    pub line: u64,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Reads rates in the form of [`EMBEDDED`]: CSV with a header, one territory a row, standard rates only, an empty
/// `stop_date` while a rate holds. With each row its description: where the figure comes from. Whether rows overlap is for
/// [`RateTable::new`] to say.
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
        return Err(RateFileError { line: 1, message: "a header and at least one rate must be there".to_owned() });
    }
    Ok(rows)
}

fn row(record: &csv::StringRecord) -> Result<(RateRow, String), String> {
    let fields: Vec<_> = record.iter().collect();
    let [start, stop, territory, currency, rate, kind, source] = fields[..] else {
        return Err(format!("has {} fields; must have {}: {}", fields.len(), HEADER.len(), HEADER.join(",")));
    };
    if kind != "standard" {
        return Err(format!("rate_type {kind:?} must be standard: no other rate is charged"));
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

/// Four digits, two, two: chrono alone would also take `2025-1-1`.
fn date(name: &str, text: &str) -> Result<NaiveDate, String> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|date| date.to_string() == text);
    date.ok_or_else(|| format!("{name} {text:?} must be a date such as 2025-01-31"))
}

/// All rates, ready for instants.
#[derive(Debug, Clone, Default)]
pub struct RateTable(BTreeMap<Country, Rates>);

/// One territory's.
#[derive(Debug, Clone)]
struct Rates {
    /// From when which rate holds, in order; None where there is a gap.
    steps: Vec<(DateTime<Utc>, Option<Rate>)>,
    /// The times of the steps.
    changes: Vec<DateTime<Utc>>,
}

impl Rates {
    /// Of the territory's rows, in order and without overlap. Rows that follow each other with the same rate are one step.
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
    /// The table of these rows, in whatever order they come.
    pub fn new(rows: impl IntoIterator<Item = RateRow>) -> Result<Self, RateTableError> {
        let mut territories: BTreeMap<Country, Vec<RateRow>> = BTreeMap::new();
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
        Ok(Self(table))
    }

    /// The rate that holds in a territory at a time.
    pub fn rate_at(&self, territory: Country, t: DateTime<Utc>) -> Result<Rate, RateTableError> {
        let rate = self.0.get(&territory).and_then(|rates| {
            let step = rates.changes.partition_point(|change| *change <= t).checked_sub(1)?;
            rates.steps[step].1
        });
        rate.ok_or_else(|| match territory.vat_zone() {
            Some(zone) => RateTableError::Missing { territory, date: t.with_timezone(&zone).date_naive() },
            None => RateTableError::UnknownTerritory(territory),
        })
    }

    /// The times in `(from, to)` at which a territory's rate changes, in order. Where a rate begins or ends to be known is
    /// one of them.
    pub fn changes(&self, territory: Country, from: DateTime<Utc>, to: DateTime<Utc>) -> &[DateTime<Utc>] {
        let all = self.0.get(&territory).map_or(&[][..], |rates| &rates.changes);
        let first = all.partition_point(|change| *change <= from);
        let end = all.partition_point(|change| *change < to);
        &all[first..end.max(first)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("RFC 3339")
    }

    fn read_table(csv: &str) -> Result<RateTable, RateTableError> {
        RateTable::new(read(csv).expect("well formed").into_iter().map(|(row, _)| row))
    }

    fn table(rows: &[&str]) -> Result<RateTable, RateTableError> {
        read_table(&(HEADER.join(",") + "\n" + &rows.join("\n")))
    }

    fn rate(table: &RateTable, territory: &str, t: &str) -> Result<String, RateTableError> {
        table.rate_at(territory.parse().expect("a country"), at(t)).map(|rate| rate.to_string())
    }

    #[test]
    fn a_rate_changes_at_the_territorys_midnight() {
        let table = read_table(EMBEDDED).expect("consistent");
        for (territory, t, expected) in [
            ("CH", "2023-12-31T22:59:59Z", "0.077"),
            ("CH", "2023-12-31T23:00:00Z", "0.081"),
            ("LI", "2023-12-31T23:00:00Z", "0.081"),
            ("FI", "2024-08-31T20:59:59Z", "0.240"),
            ("FI", "2024-08-31T21:00:00Z", "0.255"),
            ("DE", "2020-12-31T22:59:59Z", "0.160"),
            ("IE", "2021-02-28T23:59:59Z", "0.210"),
            ("IE", "2021-03-01T00:00:00Z", "0.230"),
        ] {
            assert_eq!(rate(&table, territory, t), Ok(expected.into()), "{territory} {t}");
        }
        for country in Country::with_vat() {
            for year in 2012..2030 {
                assert!(table.rate_at(country, at(&format!("{year}-06-01T00:00:00Z"))).is_ok(), "{country} {year}");
            }
        }
    }

    #[test]
    fn changes_are_those_inside_of_a_span() {
        let table = read_table(EMBEDDED).expect("consistent");
        let changes =
            |territory: &str, from, to| table.changes(territory.parse().expect("a country"), at(from), at(to));
        let change = at("2023-12-31T23:00:00Z");
        assert_eq!(changes("CH", "2023-12-16T23:00:00Z", "2024-01-15T23:00:00Z"), [change]);
        assert!(changes("CH", "2023-12-31T23:00:00Z", "2024-01-15T23:00:00Z").is_empty());
        assert!(changes("CH", "2023-12-16T23:00:00Z", "2023-12-31T23:00:00Z").is_empty());
        assert!(changes("CH", "2024-02-01T00:00:00Z", "2023-02-01T00:00:00Z").is_empty());
        assert!(changes("BG", "2011-01-01T00:00:00Z", "2030-01-01T00:00:00Z").is_empty(), "another currency only");
        assert!(changes("US", "2011-01-01T00:00:00Z", "2030-01-01T00:00:00Z").is_empty());
    }

    #[test]
    fn what_is_missing_is_named() {
        let table = table(&["2020-01-01,2020-02-01,FR,EUR,0.2,standard,", "2020-03-01,,FR,EUR,0.2,standard,"])
            .expect("a gap is no overlap");
        let missing =
            |date: &str| format!("no VAT rate of FR is known for {date}; `uncloud import-vat-rates FILE` adds it");
        let message = |territory, t| rate(&table, territory, t).map_err(|error| error.to_string());
        assert_eq!(message("FR", "2020-01-31T22:59:59Z"), Ok("0.200".into()));
        assert_eq!(message("FR", "2020-01-31T23:00:00Z"), Err(missing("2020-02-01")));
        assert_eq!(message("FR", "2019-12-31T22:59:59Z"), Err(missing("2019-12-31")));
        assert_eq!(message("FR", "2020-02-29T23:00:00Z"), Ok("0.200".into()));
        let known =
            "known are AT BE BG CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IT LI LT LU LV MT NL NO PL PT RO SE SI SK";
        assert_eq!(
            message("US", "2020-01-01T00:00:00Z"),
            Err(format!("US is a territory without VAT that we know; {known}"))
        );
        assert!(matches!(rate(&table, "DE", "2020-01-01T00:00:00Z"), Err(RateTableError::Missing { .. })));
    }

    #[test]
    fn overlapping_rows_are_refused_by_name() {
        let older = "2020-01-01,,FR,EUR,0.2,standard,";
        for newer in ["2021-01-01,2022-01-01,FR,EUR,0.21,standard,", "2020-01-01,,FR,EUR,0.2,standard,"] {
            assert!(matches!(table(&[newer, older]), Err(RateTableError::Overlap(..))), "{newer}");
        }
        let error = table(&["2021-01-01,2022-01-01,FR,EUR,0.21,standard,", older]).expect_err("they overlap");
        assert_eq!(
            error.to_string(),
            "a territory has one standard rate at a time, and these overlap: FR 0.200 from 2020-01-01; \
             and FR 0.210 from 2021-01-01 to 2022-01-01"
        );
        let empty = table(&["2020-01-01,2020-01-01,FR,EUR,0.2,standard,"]).expect_err("empty");
        assert!(matches!(empty, RateTableError::Empty(_)));
        let unknown = table(&["2020-01-01,,US,USD,0.2,standard,"]).expect_err("unknown");
        assert!(matches!(unknown, RateTableError::UnknownTerritory(_)));
    }

    #[test]
    fn a_wrong_row_is_named_by_its_line() {
        let right = "2020-01-01,,FR,EUR,0.2,standard,\"two\nlines\"";
        for (wrong, says) in [
            ("2020-01-01,,FR,EUR,0.2,standard", "has 6 fields; must have 7"),
            ("2020-1-1,,FR,EUR,0.2,standard,", "start_date \"2020-1-1\" must be a date such as"),
            ("2020-02-30,,FR,EUR,0.2,standard,", "start_date \"2020-02-30\" must be"),
            ("2020-01-01,never,FR,EUR,0.2,standard,", "stop_date \"never\" must be"),
            ("2020-01-01,,EL,EUR,0.2,standard,", "territory_codes \"EL\" must be"),
            ("2020-01-01,,FR,euro,0.2,standard,", "currency_code \"euro\" must be"),
            ("2020-01-01,,FR,EUR,20,standard,", "rate \"20\" must be a fraction between 0 and 1"),
            ("2020-01-01,,FR,EUR,-0.2,standard,", "rate \"-0.2\" must be"),
            ("2020-01-01,,FR,EUR,,standard,", "rate \"\" must be"),
            ("2020-01-01,,FR,EUR,0.055,reduced,", "rate_type \"reduced\" must be standard"),
        ] {
            let csv = format!("{}\n{right}\n{wrong}\n", HEADER.join(","));
            let error = read(&csv).expect_err(wrong);
            assert!(error.line == 4 && error.message.starts_with(says), "{error}");
        }
        for csv in ["", "start_date\n", "2020-01-01,,FR,EUR,0.2,standard,\n"] {
            assert_eq!(read(csv).map_err(|error| error.line), Err(1), "{csv:?}");
        }
    }
}
