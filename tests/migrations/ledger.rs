//! Bills that version 0112 of the schema made stay what they were: every number, amount, date and text. `at_0112/` has
//! its rows, and what it showed of them.

use std::collections::BTreeMap;

use serde_json::Value;
use uncloud_testkit::programs;

use super::database::{Database, succeeded};

/// A database with the bills of 0112, brought up to date.
async fn migrated(name: &str) -> Database {
    let database = Database::empty(name).await;
    uncloud::migrations::migrate_to(&database.pool, 112).await.expect("0112");
    let rows = "set session_replication_role = replica;
        truncate users, seller, product, recurring_period, vat_rate, orders, bill_run cascade;";
    database.execute(&format!("{rows}\n{}", file("ledger.sql"))).await;
    // The session keeps what `replica` set.
    let database = Database { pool: sqlx::PgPool::connect(&database.url).await.expect("a connection"), ..database };
    database.migrate().await;
    database
}

fn file(name: &str) -> String {
    let path = programs::repository().join("tests/migrations/at_0112").join(name);
    std::fs::read_to_string(path).expect("a file of 0112")
}

fn json(database: &Database, args: &[&str]) -> Value {
    let args = [args, &["--output", "json"]].concat();
    let output = succeeded(&database.uncloud(&args).output().expect("uncloud"));
    serde_json::from_str(&output).expect("JSON")
}

/// Members of a bill, and of its lines, VAT groups and records, by the names of both versions.
const BILL: [&str; 14] = [
    "id",
    "number",
    "user_id",
    "username",
    "document",
    "currency",
    "net",
    "tax",
    "gross",
    "rounding",
    "amount_due",
    "seller",
    "customer",
    "note",
];
const LINE: [(&str, &str); 8] = [
    ("description", "text"),
    ("reason", "reason"),
    ("kind", "kind"),
    ("order_id", "order_id"),
    ("product", "product"),
    ("quantity", "quantity"),
    ("unit_price", "unit_price"),
    ("net", "net"),
];
const RECORD: [&str; 7] = ["kind", "order_id", "from", "to", "net", "vat_category", "vat_rate"];
const VAT: [&str; 5] = ["category", "rate", "taxable_amount", "tax_amount", "reason"];

/// The members of some objects, whose order does not count.
fn members(list: &Value, names: &[&str]) -> Vec<String> {
    let list = list.as_array().expect("a list");
    let text = |one: &Value| names.iter().map(|name| one[*name].to_string()).collect::<Vec<_>>().join(" ");
    let mut texts: Vec<String> = list.iter().map(text).collect();
    texts.sort();
    texts
}

fn date(time: &Value) -> &str {
    &time.as_str().expect("a time")[..10]
}

#[tokio::test]
async fn bills_of_0112_are_unchanged_and_sound() {
    let database = migrated("ledger_of_0112").await;
    let old: Vec<Value> = serde_json::from_str(&file("bills.json")).expect("bills");
    assert_eq!(old.len(), 37);
    for old in old {
        let number = old["number"].as_str().expect("a number");
        let new = json(&database, &["bill", "show", number]);
        for member in BILL {
            assert_eq!(new[member], old[member], "{number} {member}");
        }
        assert_eq!(new["issue_date"], date(&old["issued_at"]), "{number}: the civil date of midnight in UTC");
        let (lines, records) = (new["lines"].as_array().expect("lines"), old["records"].as_array().expect("records"));
        assert_eq!(lines.len(), records.len(), "{number}");
        for (line, record) in lines.iter().zip(records) {
            for (before, now) in LINE {
                assert_eq!(line[now], record[before], "{number}: {line} {record}");
            }
        }
        assert_eq!(members(&new["records"], &RECORD), members(&old["records"], &RECORD), "{number}");
        assert_eq!(members(&new["vat"], &VAT), members(&old["vat"], &VAT), "{number}");
    }
    let verified = json(&database, &["bill", "verify"]);
    assert_eq!(verified, Value::Array(Vec::new()));
}

#[tokio::test]
async fn export_of_0112_has_the_same_amounts() {
    let database = migrated("export_of_0112").await;
    let export = database.uncloud(&["bill", "export", "--from", "2023-01-01", "--to", "2025-01-01"]).output();
    let new = rows(&succeeded(&export.expect("uncloud")));
    let old = rows(&file("export.csv"));
    assert_eq!(new.len(), old.len());
    for (new, old) in new.iter().zip(&old) {
        for (member, value) in old.iter().filter(|(member, _)| *member != "issued_at") {
            assert_eq!(new.get(member), Some(value), "{member} of {old:?}");
        }
        assert_eq!(new["issue_date"], old["issued_at"][..10]);
    }
}

fn rows(csv: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = csv.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<String> = lines.next().expect("a head").collect();
    lines.map(|line| names.iter().cloned().zip(line).collect()).collect()
}

#[tokio::test]
async fn bill_run_after_0112_goes_on_where_it_ended() {
    let database = migrated("runs_after_0112").await;
    let run = database.uncloud(&["bill", "run", "--as-of", "2024-09-01T00:00:00Z"]).output().expect("uncloud");
    succeeded(&run);
    let verified = json(&database, &["bill", "verify"]);
    assert_eq!(verified, Value::Array(Vec::new()));
    let twice = "select order_id::text from bill_charge one where exists (
                     select from bill_charge other where other.order_id = one.order_id
                         and other.charge_from > one.charge_from and other.charge_from < one.charge_to)";
    assert_eq!(database.texts(twice).await, Vec::<String>::new(), "no second twice");
    let more = database.texts("select count(*)::text from bill").await;
    assert!(more[0].parse::<i64>().expect("a count") > 37, "{more:?}");
}
