//! Importing VAT rates: all of a file or nothing, and what changes for the past is told.

use serde_json::{Value, json};

use crate::{
    app::TestApp,
    cli::{beside, refused, run, uncloud},
};

const HEADER: &str = "start_date,stop_date,territory_codes,currency_code,rate,rate_type,description\n";

/// Imports a file of these lines; what has changed.
async fn import(app: &TestApp, lines: &str) -> Vec<Value> {
    let file = file(lines);
    let mut command = uncloud(&["import-vat-rates", file.path().to_str().expect("a path"), "--output", "json"]);
    command.env("DATABASE_URL", app.database_url.expose());
    let output = beside(move || run(&mut command, "")).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn file(lines: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), format!("{HEADER}{lines}")).expect("written");
    file
}

async fn rates(app: &TestApp, territory: &str) -> Vec<Value> {
    let list = app.get(&format!("/v1/admin/vat_rate?territory={territory}"), "admin").await.expect(200);
    list["items"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn vat_rate_import_of_built_in_rates_again_changes_nothing() {
    let app = TestApp::start().await;
    let list = app.get("/v1/admin/vat_rate/", "admin").await.expect(200);
    let all = list["items"].as_array().expect("a list");
    assert_eq!(all.len(), uncloud::money::vat_rates::read(uncloud::money::vat_rates::EMBEDDED).expect("rates").len());
    let swiss = rates(&app, "CH").await;
    assert_eq!(swiss[1]["rate"], "0.077");
    assert_eq!((&swiss[1]["from"], &swiss[1]["to"]), (&json!("2018-01-01"), &json!("2024-01-01")));
    assert!(
        swiss[2].get("to").is_none() && swiss[2]["source"].as_str().is_some_and(|source| !source.is_empty()),
        "{swiss:?}"
    );
    let written = async || -> Vec<String> {
        let query = sqlx::query_scalar("select xmin::text from vat_rate order by territory, starts_on");
        query.fetch_all(&app.pool).await.expect("rows")
    };
    let before = written().await;
    let mut command = uncloud(&["import-vat-rates", "--output", "json"]);
    command.env("DATABASE_URL", app.database_url.expose());
    let output = beside(move || run(&mut command, "")).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "[]");
    assert_eq!(written().await, before, "not a row was written");
    app.get("/v1/admin/vat_rate", "alice").await.expect(403);
    app.get("/v1/admin/vat_rate?territory=ch", "admin").await.expect(400);
}

#[tokio::test]
async fn vat_rate_import_of_file_changes_only_its_territories() {
    let app = TestApp::start().await;
    let (france, germany) = (rates(&app, "FR").await, rates(&app, "DE").await);
    let law = "2007-01-01,2020-07-01,DE,EUR,0.19,standard,\n2020-07-01,2021-01-01,DE,EUR,0.16,standard,\n\
        2021-01-01,2098-01-01,DE,EUR,0.19,standard,\n2098-01-01,,DE,EUR,0.21,standard,law of 2097\n";
    let raised = import(&app, law).await;
    assert_eq!(
        raised,
        [json!({ "territory": "DE", "from": "2098-01-01", "to": null, "old": "0.190", "new": "0.210", "past": false })]
    );
    assert_eq!(import(&app, law).await, Vec::<Value>::new(), "again changes nothing");
    let now = rates(&app, "DE").await;
    assert_eq!((now.len(), &now[3]["source"]), (germany.len() + 1, &json!("law of 2097")));
    assert_eq!(rates(&app, "FR").await, france);
    let corrected = import(&app, &law.replace("0.16", "0.17")).await;
    assert_eq!(
        corrected,
        [
            json!({ "territory": "DE", "from": "2020-07-01", "to": "2021-01-01", "old": "0.160", "new": "0.170", "past": true })
        ]
    );
}

#[tokio::test]
async fn vat_rate_import_of_invalid_file_names_lines_and_writes_nothing() {
    let app = TestApp::start().await;
    let before = app.get("/v1/admin/vat_rate", "admin").await.expect(200);
    let right = "2021-01-01,,DE,EUR,0.5,standard,\n";
    for (wrong, words) in [
        ("2022-01-01,,DE,EUR,0.2,standard,\n", ["lines 2 and 3", "overlap"]),
        ("2021-01-01,,US,USD,0.2,standard,\n", ["line 3", "US"]),
        ("2021-01-01,,FR,EUR,20.125,standard,\n", ["line 3", "20.125"]),
        ("2021-01-01,,FR,EUR,-0.2,standard,\n", ["line 3", "-0.2"]),
        ("2021-01-01,2020-01-01,FR,EUR,0.2,standard,\n", ["line 3", "end after"]),
        ("2021-02-30,,FR,EUR,0.2,standard,\n", ["line 3", "2021-02-30"]),
        ("2021-01-01,,FR,EUR,0.2\n", ["line 3", "5 fields"]),
    ] {
        let file = file(&format!("{right}{wrong}"));
        let mut command = uncloud(&["import-vat-rates", file.path().to_str().expect("a path")]);
        command.env("DATABASE_URL", app.database_url.expose());
        beside(move || refused(&mut command, "", &[words[0], words[1], "nothing was imported"])).await;
    }
    let mut missing = uncloud(&["import-vat-rates", "/nonexistent/rates.csv"]);
    missing.env("DATABASE_URL", app.database_url.expose());
    beside(move || refused(&mut missing, "", &["/nonexistent/rates.csv"])).await;
    assert_eq!(app.get("/v1/admin/vat_rate", "admin").await.expect(200), before);
}
