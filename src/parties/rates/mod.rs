//! VAT rates in the database: imported from a file, listed for staff.
//!
//! A file is the truth for the territories that it names; those that it does not name stay. Rates of the past may have
//! been used by bills, which stay as they are, so what changes there is reported.

mod api;
mod db;
mod file;
mod sourced_rate;

pub use api::VatRateApi;

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use crate::{
    error::Error,
    money::{
        amount::Rate,
        country::Country,
        vat_rates::{EMBEDDED, RateRow},
    },
    parties::rates::sourced_rate::SourcedRate,
};

/// From when to when an import has changed a territory's rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub territory: Country,
    /// The first day.
    pub from: NaiveDate,
    /// The first day on which both are the same again; none if never.
    pub to: Option<NaiveDate>,
    /// What it was; none if unknown.
    pub old: Option<Rate>,
    /// What it is.
    pub new: Option<Rate>,
    /// It had been known and some of the time has passed: bills may have used it.
    pub past: bool,
}

/// What an import did.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Rates in the file, of the territories that were to be written.
    pub rates: usize,
    /// What is not as it was.
    pub differences: Vec<Difference>,
}

/// Imports a file in the form of [`EMBEDDED`], all of it or nothing. Errors name the lines.
pub async fn import(pool: &PgPool, csv: &str, name: &str) -> anyhow::Result<Imported> {
    Ok(write(pool, file::read(csv, name)?, false).await?)
}

/// Imports [`EMBEDDED`] for the territories that have no rate at all: staff's own figures stay.
pub async fn import_missing(pool: &PgPool) -> anyhow::Result<Imported> {
    Ok(write(pool, file::read(EMBEDDED, "embedded")?, true).await?)
}

/// Makes the rates of the territories in question those given.
async fn write(pool: &PgPool, mut rates: Vec<SourcedRate>, only_missing: bool) -> Result<Imported, Error> {
    let mut tx = crate::request_context::begin(pool).await?;
    db::lock(&mut tx).await?;
    let (now, mut before) = (crate::clock::of_transaction(&mut *tx).await?, db::rates(&mut *tx, None).await?);
    if only_missing {
        let known: BTreeSet<Country> = before.iter().map(|rate| rate.row.territory).collect();
        rates.retain(|rate| !known.contains(&rate.row.territory));
    }
    let territories: BTreeSet<Country> = rates.iter().map(|rate| rate.row.territory).collect();
    before.retain(|rate| territories.contains(&rate.row.territory));
    rates.sort_unstable_by_key(|rate| (rate.row.territory, rate.row.from));
    let rows = |rates: &[SourcedRate], territory| -> Vec<RateRow> {
        rates.iter().map(|rate| rate.row).filter(|row| row.territory == territory).collect()
    };
    let differences = territories
        .iter()
        .flat_map(|territory| differences(*territory, &rows(&before, *territory), &rows(&rates, *territory), now));
    let differences = differences.collect();
    if before != rates {
        db::replace(&mut tx, &territories.iter().map(Country::as_str).collect::<Vec<_>>(), &rates).await?;
        tx.commit().await?;
    }
    Ok(Imported { rates: rates.len(), differences })
}

/// When a territory's rates are not the same.
fn differences(territory: Country, old: &[RateRow], new: &[RateRow], now: DateTime<Utc>) -> Vec<Difference> {
    let on = |rows: &[RateRow], date: NaiveDate| {
        rows.iter().find(|row| row.from <= date && row.to.is_none_or(|to| date < to)).map(|row| row.rate)
    };
    let today = now.with_timezone(&territory.vat_zone().unwrap_or_default()).date_naive();
    let dates: BTreeSet<NaiveDate> = old.iter().chain(new).flat_map(|row| [Some(row.from), row.to]).flatten().collect();
    let mut differences: Vec<Difference> = Vec::new();
    for &from in &dates {
        let (was, is) = (on(old, from), on(new, from));
        if let Some(last) = differences.last_mut().filter(|last| last.to.is_none()) {
            if (last.old, last.new) == (was, is) {
                continue;
            }
            last.to = Some(from);
        }
        if was != is {
            let past = was.is_some() && from <= today;
            differences.push(Difference { territory, from, to: None, old: was, new: is, past });
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::vat_rates;

    fn rows(rows: &str) -> Vec<RateRow> {
        let csv = format!("start_date,stop_date,territory_codes,currency_code,rate,rate_type,description\n{rows}");
        vat_rates::read(&csv).expect("well formed").into_iter().map(|(row, _)| row).collect()
    }

    fn say(old: &str, new: &str) -> Vec<String> {
        let now = "2025-06-01T00:00:00Z".parse().expect("a time");
        let rate = |rate: Option<Rate>| rate.map_or("-".to_owned(), |rate| rate.to_string());
        let text = |found: Difference| {
            let to = found.to.map_or("-".to_owned(), |to| to.to_string());
            format!("{} {to} {} {} {}", found.from, rate(found.old), rate(found.new), found.past)
        };
        differences(Country::CH, &rows(old), &rows(new), now).into_iter().map(text).collect()
    }

    #[test]
    fn what_differs_is_told_by_days_not_by_rows() {
        let today = "2018-01-01,2024-01-01,CH,CHF,0.077,standard,\n2024-01-01,,CH,CHF,0.081,standard,";
        assert!(say(today, today).is_empty());
        let split = "2018-01-01,2020-01-01,CH,CHF,0.077,standard,\n2020-01-01,2024-01-01,CH,CHF,0.077,standard,\n\
            2024-01-01,,CH,CHF,0.081,standard,";
        assert!(say(today, split).is_empty(), "the same rate on each day");
        let raised = "2018-01-01,2024-01-01,CH,CHF,0.077,standard,\n2024-01-01,2028-01-01,CH,CHF,0.081,standard,\n\
            2028-01-01,,CH,CHF,0.085,standard,";
        assert_eq!(say(today, raised), ["2028-01-01 - 0.081 0.085 false"], "a new law is no news about the past");
        let corrected = "2018-01-01,2024-01-01,CH,CHF,0.078,standard,\n2024-01-01,,CH,CHF,0.081,standard,";
        assert_eq!(say(today, corrected), ["2018-01-01 2024-01-01 0.077 0.078 true"]);
        let later = "2019-01-01,2024-01-01,CH,CHF,0.077,standard,\n2024-01-01,2025-06-01,CH,CHF,0.081,standard,";
        assert_eq!(say(today, later), ["2018-01-01 2019-01-01 0.077 - true", "2025-06-01 - 0.081 - true"]);
        assert_eq!(say(later, today), ["2018-01-01 2019-01-01 - 0.077 false", "2025-06-01 - - 0.081 false"]);
    }
}
