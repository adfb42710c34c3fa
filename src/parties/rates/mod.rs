//! VAT rates in the database: imported from a file, listed for staff.
//!
//! A file is authoritative for the territories that it names; other territories are left unchanged. Bills may have
//! used past rates, and stay as they are, so changes of past rates are reported.

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
        territory::Territory,
        vat_rates::{EMBEDDED, RateRow},
    },
    parties::rates::sourced_rate::SourcedRate,
};

/// A span of dates in which an import has changed a territory's rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The territory that has changed.
    pub territory: Territory,
    /// The first day of the change.
    pub from: NaiveDate,
    /// The first day on which both rates are the same again; `None`: the change has no end.
    pub to: Option<NaiveDate>,
    /// The rate before the import; `None` if unknown.
    pub old: Option<Rate>,
    /// The rate after the import; `None` if unknown.
    pub new: Option<Rate>,
    /// True if the old rate was known and some of the span has passed: bills may have used it.
    pub past: bool,
}

/// The result of an import.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The number of rates in the file, of the territories that were to be written.
    pub rates: usize,
    /// The changes of rates.
    pub differences: Vec<Difference>,
}

/// Imports a file in the form of [`EMBEDDED`], as a whole or not at all. Errors name the lines.
pub async fn import(pool: &PgPool, csv: &str, name: &str) -> anyhow::Result<Imported> {
    Ok(write(pool, file::read(csv, name)?, false).await?)
}

/// Imports [`EMBEDDED`] for the territories without any rate: staff's own figures stay.
pub async fn import_missing(pool: &PgPool) -> anyhow::Result<Imported> {
    Ok(write(pool, file::read(EMBEDDED, "embedded")?, true).await?)
}

/// Replaces the rates of the given territories.
async fn write(pool: &PgPool, mut rates: Vec<SourcedRate>, only_missing: bool) -> Result<Imported, Error> {
    let mut tx = crate::request_context::begin(pool).await?;
    db::lock(&mut tx).await?;
    let (now, mut before) = (crate::clock::of_transaction(&mut *tx).await?, db::rates(&mut *tx, None).await?);
    if only_missing {
        let known: BTreeSet<Territory> = before.iter().map(|rate| rate.row.territory).collect();
        rates.retain(|rate| !known.contains(&rate.row.territory));
    }
    let territories: BTreeSet<Territory> = rates.iter().map(|rate| rate.row.territory).collect();
    before.retain(|rate| territories.contains(&rate.row.territory));
    for list in [&mut before, &mut rates] {
        list.sort_unstable_by_key(|rate| (rate.row.territory, rate.row.from));
    }
    let rows = |rates: &[SourcedRate], territory| -> Vec<RateRow> {
        rates.iter().map(|rate| rate.row).filter(|row| row.territory == territory).collect()
    };
    let differences = territories
        .iter()
        .flat_map(|territory| differences(*territory, &rows(&before, *territory), &rows(&rates, *territory), now));
    let differences = differences.collect();
    if before != rates {
        db::replace(&mut tx, &territories.iter().map(Territory::as_str).collect::<Vec<_>>(), &rates).await?;
        tx.commit().await?;
    }
    Ok(Imported { rates: rates.len(), differences })
}

/// Returns the spans in which a territory's rates differ.
fn differences(territory: Territory, old: &[RateRow], new: &[RateRow], now: DateTime<Utc>) -> Vec<Difference> {
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
        differences("CH".parse().expect("a territory"), &rows(old), &rows(new), now).into_iter().map(text).collect()
    }

    #[test]
    fn differences_of_split_rows_are_reported_by_days() {
        let today = "2018-01-01,2024-01-01,CH,CHF,0.077,standard,\n2024-01-01,,CH,CHF,0.081,standard,";
        assert!(say(today, today).is_empty());
        let split = "2018-01-01,2020-01-01,CH,CHF,0.077,standard,\n2020-01-01,2024-01-01,CH,CHF,0.077,standard,\n\
            2024-01-01,,CH,CHF,0.081,standard,";
        assert!(say(today, split).is_empty(), "the same rate on each day");
        let raised = "2018-01-01,2024-01-01,CH,CHF,0.077,standard,\n2024-01-01,2028-01-01,CH,CHF,0.081,standard,\n\
            2028-01-01,,CH,CHF,0.085,standard,";
        assert_eq!(say(today, raised), ["2028-01-01 - 0.081 0.085 false"], "a future change does not affect the past");
        let corrected = "2018-01-01,2024-01-01,CH,CHF,0.078,standard,\n2024-01-01,,CH,CHF,0.081,standard,";
        assert_eq!(say(today, corrected), ["2018-01-01 2024-01-01 0.077 0.078 true"]);
        let later = "2019-01-01,2024-01-01,CH,CHF,0.077,standard,\n2024-01-01,2025-06-01,CH,CHF,0.081,standard,";
        assert_eq!(say(today, later), ["2018-01-01 2019-01-01 0.077 - true", "2025-06-01 - 0.081 - true"]);
        assert_eq!(say(later, today), ["2018-01-01 2019-01-01 - 0.077 false", "2025-06-01 - - 0.081 false"]);
    }
}
