//! Reads a file of rates: each row with its line and its source.

use anyhow::bail;

use super::sourced_rate::SourcedRate;
use crate::money::vat_rates::{self, RateRow, RateTable, RateTableError};

/// Reads the rates of a file, which must form a table. Errors name the lines.
pub(super) fn read(csv: &str, name: &str) -> anyhow::Result<Vec<SourcedRate>> {
    let rows = vat_rates::read(csv)?;
    if let Err(error) = RateTable::new(rows.iter().map(|(row, _)| *row)) {
        let rows = rows.iter().zip(lines(csv));
        let at_fault: Vec<u64> =
            rows.filter(|((row, _), _)| is_at_fault(row, &error)).map(|(_, line)| line).take(2).collect();
        match at_fault[..] {
            [first, second] => bail!("lines {first} and {second}: {error}"),
            [line] => bail!("line {line}: {error}"),
            _ => bail!(error),
        }
    }
    let source = |description: String| if description.is_empty() { name.to_owned() } else { description };
    Ok(rows.into_iter().map(|(row, description)| SourcedRate { row, source: source(description) }).collect())
}

fn is_at_fault(row: &RateRow, error: &RateTableError) -> bool {
    match error {
        RateTableError::UnknownTerritory(territory) | RateTableError::Missing { territory, .. } => {
            row.territory == *territory
        }
        RateTableError::Empty(empty) => row == empty,
        RateTableError::Overlap(one, other) => row == one || row == other,
    }
}

/// Returns the line of each row of a file that was read without error.
fn lines(csv: &str) -> Vec<u64> {
    let mut reader = csv::ReaderBuilder::new().from_reader(csv.as_bytes());
    let line = |record: csv::StringRecord| record.position().map_or(0, csv::Position::line);
    reader.records().filter_map(Result::ok).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "start_date,stop_date,territory_codes,currency_code,rate,rate_type,description\n";

    #[test]
    fn read_of_rates_that_form_no_table_names_their_lines() {
        let right = "2020-01-01,,FR,EUR,0.2,standard,\"two\nlines\"\n";
        for (wrong, says) in [
            ("2021-01-01,,FR,EUR,0.21,standard,\n", "lines 2 and 4: a territory has one standard rate at a time"),
            ("2020-01-01,,FR,EUR,0.2,standard,\n", "lines 2 and 4: a territory"),
            ("2020-01-01,,US,USD,0.2,standard,\n", "line 4: US is not a territory with known VAT"),
            ("2020-01-01,2020-01-01,DE,EUR,0.2,standard,\n", "line 4: a rate must end after it starts"),
            ("2020-01-01,,DE,EUR,20.125,standard,\n", "line 4: rate \"20.125\" must be a fraction"),
            ("2020-01-01,,DE,EUR,0.1900001,standard,\n", "line 4: rate"),
        ] {
            let error = read(&format!("{HEADER}{right}{wrong}"), "file").expect_err(wrong).to_string();
            assert!(error.starts_with(says), "{error}");
        }
    }

    #[test]
    fn read_takes_the_source_from_the_description_or_the_file_name() {
        let csv = format!("{HEADER}2020-01-01,,FR,EUR,0.2,standard,law 7\n2020-01-01,,DE,EUR,0.19,standard,\n");
        let sources: Vec<String> =
            read(&csv, "rates.csv").expect("well formed").into_iter().map(|rate| rate.source).collect();
        assert_eq!(sources, ["law 7", "rates.csv"]);
    }
}
