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
fn rate_at_changes_at_midnight_in_the_territory() {
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
        ("AT-6691", "2026-01-01T00:00:00Z", "0.190"),
        ("PT-20", "2021-06-30T23:59:59Z", "0.180"),
        ("PT-20", "2021-07-01T00:00:00Z", "0.160"),
        ("PT-30", "2026-01-01T00:00:00Z", "0.220"),
    ] {
        assert_eq!(rate(&table, territory, t), Ok(expected.into()), "{territory} {t}");
    }
    for territory in Territory::with_vat() {
        for year in 2012..2030 {
            assert!(table.rate_at(territory, at(&format!("{year}-06-01T00:00:00Z"))).is_ok(), "{territory} {year}");
        }
    }
}

#[test]
fn changes_of_a_span_exclude_its_ends() {
    let table = read_table(EMBEDDED).expect("consistent");
    let changes = |territory: &str, from, to| table.changes(territory.parse().expect("a country"), at(from), at(to));
    let change = at("2023-12-31T23:00:00Z");
    assert_eq!(changes("CH", "2023-12-16T23:00:00Z", "2024-01-15T23:00:00Z"), [change]);
    assert!(changes("CH", "2023-12-31T23:00:00Z", "2024-01-15T23:00:00Z").is_empty());
    assert!(changes("CH", "2023-12-16T23:00:00Z", "2023-12-31T23:00:00Z").is_empty());
    assert!(changes("CH", "2024-02-01T00:00:00Z", "2023-02-01T00:00:00Z").is_empty());
    assert!(changes("BG", "2011-01-01T00:00:00Z", "2030-01-01T00:00:00Z").is_empty(), "another currency only");
    assert!(changes("US", "2011-01-01T00:00:00Z", "2030-01-01T00:00:00Z").is_empty());
}

#[test]
fn rate_at_without_a_rate_names_territory_and_date() {
    let table = table(&["2020-01-01,2020-02-01,FR,EUR,0.2,standard,", "2020-03-01,,FR,EUR,0.2,standard,"])
        .expect("a gap is not an overlap");
    let missing =
        |date: &str| format!("no VAT rate of FR is known for {date}; `uncloud import-vat-rates FILE` adds it");
    let message = |territory, t| rate(&table, territory, t).map_err(|error| error.to_string());
    assert_eq!(message("FR", "2020-01-31T22:59:59Z"), Ok("0.200".into()));
    assert_eq!(message("FR", "2020-01-31T23:00:00Z"), Err(missing("2020-02-01")));
    assert_eq!(message("FR", "2019-12-31T22:59:59Z"), Err(missing("2019-12-31")));
    assert_eq!(message("FR", "2020-02-29T23:00:00Z"), Ok("0.200".into()));
    let known = "known are AT AT-6691 BE BG CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IT LI LT LU LV MT NL NO PL PT PT-20 PT-30 RO SE SI SK";
    assert_eq!(message("US", "2020-01-01T00:00:00Z"), Err(format!("US is not a territory with known VAT; {known}")));
    assert!(matches!(rate(&table, "DE", "2020-01-01T00:00:00Z"), Err(RateTableError::Missing { .. })));
}

#[test]
fn table_with_overlapping_rows_is_refused_naming_both() {
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
fn read_with_invalid_row_names_its_line() {
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
