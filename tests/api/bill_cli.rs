//! `uncloud bill`, which is another process than the server.

use std::{io::Write as _, process::Command};

use serde_json::{Value, json};
use uncloud_testkit::programs;

use crate::{
    app::TestApp,
    books::{ALICE, BOB, address, bill_all, count, execute, ledger, number, place, sql, terms, this_year},
};

/// Its cases are played by `uncloud bill simulate`, which is given the path.
fn examples() -> String {
    programs::repository().join("tests/billing-examples.json").display().to_string()
}

impl TestApp {
    async fn bill(&self, args: &[&str]) -> Result<Value, String> {
        self.cli(&[&["bill"], args].concat()).await
    }

    /// Alice and Bob have something due from 1 March 2024 on; Bob has no address.
    async fn start_with_two_customers() -> Self {
        let app = Self::start_with_books().await;
        address(&app.pool, ALICE, "CH", false).await;
        place(&app.pool, &terms(ALICE, "10.00"), "2024-03-01").await;
        place(&app.pool, &terms(BOB, "20.00"), "2024-03-01").await;
        app
    }
}

#[tokio::test]
async fn bill_run_command_with_dry_run_reports_and_without_it_bills() {
    let app = TestApp::start_with_two_customers().await;
    let run = ["run", "--as-of", "2024-03-05T00:00:00Z", "--output", "json"];
    let said = app.bill(&[&run[..], &["--dry-run"]].concat()).await.expect_err("Bob can't be billed");
    assert!(said.contains("customer 3: has no billing address") && said.contains("no_billing_address"), "{said}");
    assert_eq!(count(&app.pool, "bill").await + count(&app.pool, "bill_run").await, 0);
    let alone = app.bill(&[&run[..], &["--dry-run", "--customer", "alice"]].concat()).await.expect("billable");
    let line = json!([{ "currency": "CHF", "bills": 1, "net": "10.00", "tax": "0.81", "gross": "10.81" }]);
    assert_eq!(alone, line);
    assert_eq!(app.bill(&[&run[..], &["--customer", "alice"]].concat()).await.expect("billed"), line);
    assert_eq!(app.bill(&[&run[..], &["--customer", "alice"]].concat()).await.expect("nothing due"), json!([]));
    assert_eq!(count(&app.pool, "bill_run").await, 1, "a run without a bill leaves nothing behind");
    app.bill(&run).await.expect_err("Bob still can't be billed");
    address(&app.pool, BOB, "CH", false).await;
    let all = app.bill(&["run", "--as-of", "2024-04-01T00:00:00Z", "--output", "json"]).await.expect("all are billed");
    assert_eq!((&all[0]["bills"], &all[0]["net"]), (&json!(2), &json!("50.00")));
    app.bill(&["verify"]).await.expect("sound");
}

#[tokio::test]
async fn bill_command_with_invalid_argument_names_it() {
    let app = TestApp::start_with_two_customers().await;
    for (args, word) in [
        (&["run", "--as-of", "2098-01-01T00:00:00Z"][..], "future"),
        (&["run", "--as-of", "yesterday"], "--as-of"),
        (&["run", "--customer", "carol"], "carol"),
        (&["ls", "--customer", "carol"], "carol"),
        (&["show", "2024-999999"], "2024-999999"),
        (&["show", "42"], "2026-000042"),
        (&["export", "--from", "2024-01-01"], "--to"),
        (&["export", "--from", "2024-01-01", "--to", "2023-01-01"], "later"),
        (&["export", "--from", "2024-01-01T00:00:00Z", "--to", "2023-01-01"], "--from"),
        (&["simulate", "/nonexistent"], "/nonexistent"),
    ] {
        let said = app.bill(args).await.expect_err(word);
        assert!(said.contains(word) && said.lines().count() == 1, "{args:?}: {said}");
    }
    assert_eq!(count(&app.pool, "bill_run").await, 0);
}

#[tokio::test]
async fn bill_ls_show_and_export_after_run_match_api() {
    let app = TestApp::start_with_two_customers().await;
    address(&app.pool, BOB, "DE", true).await;
    bill_all(&app.pool, "2024-03-05").await;
    let listed = app.bill(&["ls", "--output", "json"]).await.expect("bills");
    let numbers: Vec<&Value> = listed.as_array().expect("bills").iter().map(|bill| &bill["number"]).collect();
    assert_eq!(numbers, [&json!(number(1)), &json!(number(2))]);
    let of_bob = app.bill(&["ls", "--customer", "bob", "--output", "json"]).await.expect("bills");
    assert_eq!((of_bob.as_array().map(Vec::len), &of_bob[0]["amount_due"]), (Some(1), &json!("20.00")));
    let none = app.bill(&["ls", "--to", "2024-03-06", "--output", "json"]).await.expect("bills");
    assert_eq!(none, json!([]));
    let shown = app.bill(&["show", &number(2), "--output", "json"]).await.expect("a bill");
    let over_http = app.get(&format!("/v1/admin/bill/{}", shown["id"]), "admin").await.expect(200);
    assert_eq!(shown, over_http, "the API's object");
    assert_eq!((&shown["lines"][0]["quantity"], &shown["vat_category"]), (&json!("1.000000"), &json!("AE")));
    let table = app.bill(&["show", &number(1)]).await.expect("a bill");
    let table = table.as_str().expect("a table");
    assert!(table.contains("VM for 10.00, 1 Mar - 31 Mar 2024") && table.contains("8.1"), "{table}");
    let (from, to) = (format!("{}-01-01", this_year()), format!("{}-01-01", this_year() + 1));
    let period = ["export", "--from", &from, "--to", &to];
    let csv = app.bill(&period).await.expect("a file");
    let over_http = app.get(&format!("/v1/admin/bill/export?from={from}&to={to}"), "admin").await.text;
    assert_eq!(csv.as_str(), Some(over_http.as_str()));
    let json = app.bill(&[&period[..], &["--format", "json"]].concat()).await.expect("a file");
    assert_eq!(json.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn bill_simulate_of_examples_prints_outcomes_and_fails_if_unexpected() {
    let app = TestApp::start().await;
    let played = app.bill(&["simulate", &examples()]).await.expect("all as expected");
    let examples: Value = serde_json::from_str(include_str!("../billing-examples.json")).expect("JSON");
    let (played, examples) = (played["cases"].as_array().expect("cases"), examples["cases"].as_array().expect("cases"));
    assert_eq!(played.len(), examples.len());
    for (played, example) in played.iter().zip(examples) {
        assert_eq!(played["id"], example["id"]);
        for part in ["orders", "net_per_order"] {
            assert_eq!(played[part], example["expected"][part], "{} {part}", example["id"]);
        }
    }
    let mut wrong: Value = serde_json::from_str(include_str!("../billing-examples.json")).expect("JSON");
    wrong["cases"][0]["expected"]["net_per_order"]["o1"] = json!("9.99");
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    write!(file, "{wrong}").expect("written");
    let said = app.bill(&["simulate", &file.path().display().to_string()]).await.expect_err("one is not");
    assert!(said.contains("1 of 12") && said.contains("S01"), "{said}");
    assert_eq!(count(&app.pool, "bill").await + count(&app.pool, "orders").await, 0, "all rolled back");
}

/// Words of the response to a change of a file.
type Wrong = (&'static str, fn(&mut Value));

/// Plays the first two examples after a change; whether all came out as expected, what the command says, and the cases.
async fn play(app: &TestApp, change: impl FnOnce(&mut Value)) -> (bool, String, Value) {
    let mut file: Value = serde_json::from_str(include_str!("../billing-examples.json")).expect("JSON");
    file["cases"].as_array_mut().expect("cases").truncate(2);
    change(&mut file);
    let path = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
    std::fs::write(&path, file.to_string()).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_uncloud"));
    command.args(["bill", "simulate"]).arg(&path).env_clear().env("DATABASE_URL", app.database_url.expose());
    let output = tokio::task::spawn_blocking(move || command.output().expect("uncloud")).await.expect("no panic");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.lines().count() == 1 && !said.contains("internal"), "{said}");
    let mut played: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.success(), said, played["cases"].take())
}

#[tokio::test]
async fn bill_simulate_with_invalid_file_or_case_names_the_error() {
    let app = TestApp::start().await;
    let whole: [Wrong; 3] = [
        ("vat_table: US is not a territory with known VAT", |file| file["vat_table"][0]["territory"] = json!("US")),
        ("vat_table: a territory has one standard rate at a time", |file| {
            let again = file["vat_table"][0].clone();
            file["vat_table"].as_array_mut().expect("rates").push(again);
        }),
        ("file of cases", |file| *file = json!([])),
    ];
    for (words, change) in whole {
        let (good, said, cases) = play(&app, change).await;
        assert!(!good && said.contains(words) && cases.is_null(), "{words:?} in {said}");
    }
    let one: [Wrong; 7] = [
        ("two to six decimals", |file| file["cases"][0]["events"][0]["recurring"] = json!("10.0000005")),
        ("must not be negative", |file| file["cases"][0]["events"][0]["recurring"] = json!("-10.00")),
        ("uppercase letters", |file| file["cases"][0]["customer"]["country"] = json!("XXX")),
        ("must count 1 to", |file| file["cases"][0]["events"][0]["period"]["count"] = json!(0)),
        ("seller: must be CH", |file| file["cases"][0]["seller"]["country"] = json!("DE")),
        ("must be \"0.05\"", |file| file["cases"][0]["options"]["cash_rounding"] = json!("0.10")),
        ("unknown variant", |file| file["cases"][0]["events"][0]["type"] = json!("gift")),
    ];
    for (words, change) in one {
        let (good, said, cases) = play(&app, change).await;
        assert!(!good && said.contains("1 of 2 cases"), "the other goes on: {said}");
        assert!(cases[0]["error"].as_str().is_some_and(|error| error.contains(words)), "{words:?} in {cases}");
        assert!(cases[1].get("error").is_none(), "{cases}");
    }
    assert_eq!(count(&app.pool, "bill").await + count(&app.pool, "orders").await, 0, "nothing is written");
}

#[tokio::test]
async fn bill_simulate_with_refused_event_reports_it_and_continues() {
    let app = TestApp::start().await;
    let refused: [Wrong; 4] = [
        ("no order \"o9\"", |file| file["cases"][0]["events"][2]["replaces"] = json!("o9")),
        ("is replaced by", |file| {
            let events = file["cases"][0]["events"].as_array_mut().expect("events");
            let mut again = events[2].clone();
            (again["order"], again["at"]) = (json!("o3"), json!("2025-04-10T00:00:00Z"));
            events.push(again);
        }),
        ("paid once", |file| file["cases"][0]["events"][2]["period"] = Value::Null),
        ("orders_period", |file| file["cases"][0]["events"][0]["period"] = Value::Null),
    ];
    for (words, change) in refused {
        let (_, _, cases) = play(&app, change).await;
        let problem = cases[0]["problems"][0]["detail"].as_str();
        assert!(problem.is_some_and(|problem| problem.contains(words)), "{words:?} in {cases}");
        assert_eq!(cases[0]["runs"].as_array().map(Vec::len), Some(3), "all runs were made: {cases}");
    }
    let (good, said, _) = play(&app, |file| file["cases"][0]["events"][2]["replaces"] = json!("o9")).await;
    assert!(!good && said.contains("1 of 2 cases"), "{said}");
    assert_eq!(count(&app.pool, "bill").await + count(&app.pool, "orders").await, 0, "nothing is written");
}

/// The only case's only bill of a Swiss customer with one order of 10.00, after a change.
async fn bill_of(app: &TestApp, change: fn(&mut Value)) -> Value {
    let (_, said, cases) = play(app, |file| {
        file["cases"].as_array_mut().expect("cases").truncate(1);
        file["cases"][0]["events"].as_array_mut().expect("events").truncate(2);
        change(&mut file["cases"][0]);
    })
    .await;
    let case = &cases[0];
    assert!(case.get("problems").is_none() && case.get("error").is_none(), "{said} {case}");
    case["runs"][0][0].clone()
}

#[tokio::test]
async fn bill_simulate_with_varied_notation_is_accepted() {
    let app = TestApp::start().await;
    for number in [json!("CHE-116.281.710 MWST"), json!("che 116 281 710"), json!(""), Value::Null] {
        let (_, _, cases) = play(&app, |file| {
            let customer =
                json!({ "country": "CH", "kind": "business", "vat_number": number, "vat_number_status": "pending" });
            file["cases"][0]["customer"] = customer;
        })
        .await;
        assert_eq!(cases[0]["runs"][0][0]["tax"], "0.81", "{number} {cases}");
    }
    let german = bill_of(&app, |case| {
        let customer = json!({ "country": "DE", "kind": "business", "vat_number": "de 136 695 976", "vat_number_status": "verified" });
        case["customer"] = customer;
    });
    assert_eq!(german.await["vat"][0]["category"], "AE");
    let once = bill_of(&app, |case| {
        let order = json!({ "at": "2025-03-01T00:00:00.7Z", "type": "order", "order": "o1", "one_time": "50.02",
            "period": null, "commitment_periods": 1 });
        case["events"][0] = order;
        case["options"]["cash_rounding"] = json!("0.05");
        case["who"] = json!("wrote this");
    })
    .await;
    assert_eq!((&once["net"], &once["records"][0]["from"]), (&json!("50.02"), &json!("2025-03-01T00:00:00Z")));
    assert_eq!((&once["gross"], &once["payable"]), (&json!("54.07"), &json!("54.05")));
}

#[tokio::test]
async fn bill_verify_with_inconsistent_order_lists_faults_and_fails() {
    let app = TestApp::start_with_two_customers().await;
    address(&app.pool, BOB, "CH", false).await;
    bill_all(&app.pool, "2024-03-05").await;
    assert_eq!(app.bill(&["verify", "--output", "json"]).await.expect("sound"), json!([]));
    sql(&app.pool, "update order_cursor set billed_through = '2025-01-01', due_at = '2025-01-01' where user_id = 2")
        .await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_uncloud"));
    command.args(["bill", "verify", "--output", "json"]).env_clear().env("DATABASE_URL", app.database_url.expose());
    let output = tokio::task::spawn_blocking(move || command.output().expect("uncloud")).await.expect("no panic");
    assert!(!output.status.success());
    let faults: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((faults.as_array().map(Vec::len), &faults[0]["order"]), (Some(2), &json!(1)), "{faults}");
    assert!(execute(&app.pool, "delete from bill").await.is_err());
    assert_eq!(ledger(&app.pool).await.len(), 2);
}
