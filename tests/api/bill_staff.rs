//! Staff and bills: one customer now, lines by hand, runs, and files for the accounts.

use serde_json::{Value, json};

use crate::{
    app::TestApp,
    books::{
        ADMIN, ALICE, BOB, address, assert_followed_by_hand, assert_sound, bill_all, count, date_back, ledger, number,
        open_books, place, sql, terms, this_year, without_defaults,
    },
};

const BILL_ALICE: &str = "/v1/admin/user/2/bill";
const LINES: &str = "/v1/admin/user/2/bill_item";

fn line(net: &str) -> Value {
    json!({ "description": "Work by the hour", "net": net, "currency": "CHF", "reason": "ticket 4711",
            "service_at": "2024-03-05T00:00:00Z" })
}

#[tokio::test]
async fn bill_create_for_one_customer_bills_only_that_customer() {
    let app = TestApp::start_with_books().await;
    for user in [ALICE, BOB] {
        address(&app.pool, user, "CH", false).await;
        place(&app.pool, &terms(user, "10.00"), "2024-03-01").await;
    }
    let as_of = json!({ "as_of": "2024-03-10T00:00:00Z" });
    let billed = app.post(BILL_ALICE, "admin", as_of.clone()).await.expect(201);
    let bill = &billed["bills"][0];
    assert_followed_by_hand(bill);
    assert_eq!((&bill["number"], &bill["net"]), (&json!(number(1)), &json!("10.00")));
    assert_eq!(count(&app.pool, "bill").await, 1, "nobody else's");
    let requested_by: Option<i64> =
        sqlx::query_scalar("select requested_by from bill_run").fetch_one(&app.pool).await.expect("the run");
    assert_eq!(requested_by, Some(ADMIN));
    let again = app.post(BILL_ALICE, "admin", as_of).await.expect(200);
    assert_eq!(again["bills"], json!([]));
    assert!(again["reason"].as_str().is_some_and(|reason| reason.contains("nothing is due")), "{again}");
    assert_eq!(count(&app.pool, "bill_run").await, 1, "no run without a bill");
    // The monthly run goes on from there, and with the others.
    bill_all(&app.pool, "2024-04-01").await;
    let sums: Vec<(Value, Value)> =
        ledger(&app.pool).await.iter().map(|bill| (bill["number"].clone(), bill["net"].clone())).collect();
    let bill = |sequence: u32, net: i64| (json!(number(sequence)), json!(net));
    assert_eq!(sums, [bill(1, 1000), bill(2, 1000), bill(3, 2000)]);
    assert_sound(&app.pool).await;
}

#[tokio::test]
async fn bill_create_with_missing_prerequisites_returns_conflict() {
    let app = TestApp::start().await;
    without_defaults(&app.pool).await;
    place(&app.pool, &terms(ALICE, "10.00"), "2024-03-01").await;
    let code = async |body: Value| app.post(BILL_ALICE, "admin", body).await.expect(409)["code"].clone();
    assert_eq!(code(json!({})).await, "no_seller");
    open_books(&app.pool).await;
    assert_eq!(code(json!({})).await, "no_billing_address");
    address(&app.pool, ALICE, "CH", false).await;
    sql(&app.pool, "delete from vat_rate where territory = 'CH' and starts_on = '2024-01-01'").await;
    let refused = app.post(BILL_ALICE, "admin", json!({})).await.expect(409);
    assert_eq!(refused["code"], "no_vat_rate");
    assert!(
        refused["detail"].as_str().is_some_and(|detail| detail.contains("2024-03-01") && detail.contains("CH")),
        "{refused}"
    );
    assert_eq!(count(&app.pool, "bill_run").await + count(&app.pool, "bill").await, 0, "nothing was written");
    let ahead = app.post(BILL_ALICE, "admin", json!({ "as_of": "2098-01-01T00:00:00Z" })).await;
    assert_eq!(ahead.wrong_fields(422), ["/as_of"]);
    assert_eq!(app.post(BILL_ALICE, "admin", json!({ "as_of": "now", "x": 1 })).await.wrong_fields(422).len(), 2);
    app.post("/v1/admin/user/999/bill", "admin", json!({})).await.expect(404);
    app.post(BILL_ALICE, "alice", json!({})).await.expect(403);
}

#[tokio::test]
async fn bill_item_with_positive_or_negative_amount_is_on_next_bill() {
    let app = TestApp::start_with_books().await;
    address(&app.pool, ALICE, "CH", false).await;
    place(&app.pool, &terms(ALICE, "10.00"), "2024-03-01").await;
    let work = app.post(LINES, "admin", line("120.50")).await.expect(201);
    assert_eq!((&work["created_by"], &work["reason"]), (&json!("admin"), &json!("ticket 4711")));
    app.post(LINES, "admin", line("-30.00")).await.expect(201);
    bill_all(&app.pool, "2024-03-04").await;
    assert_eq!(ledger(&app.pool).await[0]["net"], 1000, "they are for a later time");
    let bill = app.post(BILL_ALICE, "admin", json!({ "as_of": "2024-03-06T00:00:00Z" })).await.expect(201);
    let bill = &bill["bills"][0];
    assert_followed_by_hand(bill);
    assert_eq!((&bill["net"], &bill["document"]), (&json!("90.50"), &json!("invoice")));
    assert_eq!(bill["lines"][0]["text"], "Work by the hour");
    assert_eq!(
        (&bill["lines"][1]["quantity"], &bill["lines"][1]["unit_price"]),
        (&json!("-1.000000"), &json!("30.00"))
    );
    assert!(!bill.to_string().contains("4711"), "the reason is not the customer's");
    let listed = app.read(LINES, "admin").await;
    assert!(listed["items"].as_array().expect("lines").iter().all(|line| line["bill_id"] == bill["id"]), "{listed}");
    // One alone, in the customer's favour, is a credit note.
    app.post(LINES, "admin", line("-5.00")).await.expect(201);
    let note = app.post(BILL_ALICE, "admin", json!({ "as_of": "2024-03-07T00:00:00Z" })).await.expect(201);
    assert_followed_by_hand(&note["bills"][0]);
    let note = &note["bills"][0];
    assert_eq!((&note["document"], &note["amount_due"]), (&json!("credit_note"), &json!("-5.41")));
    assert_sound(&app.pool).await;
}

#[tokio::test]
async fn bill_item_that_is_not_billed_is_voided_and_stays_in_the_list() {
    let app = TestApp::start_with_books().await;
    address(&app.pool, ALICE, "CH", false).await;
    let wrong = app.post(LINES, "admin", line("1000.00")).await.expect(201);
    let path = format!("{LINES}/{}", wrong["id"]);
    for _ in 0..2 {
        let voided = app.delete(&path, "admin").await.expect(200);
        assert_eq!(voided["voided_by"], "admin");
    }
    bill_all(&app.pool, "2024-04-01").await;
    assert_eq!(count(&app.pool, "bill").await, 0);
    assert_eq!(app.read(LINES, "admin").await["items"].as_array().map(Vec::len), Some(1));
    let right = app.post(LINES, "admin", line("10.00")).await.expect(201);
    bill_all(&app.pool, "2024-04-01").await;
    let refused = app.delete(&format!("{LINES}/{}", right["id"]), "admin").await.expect(409);
    assert_eq!(refused["code"], "item_billed");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("-10.00")), "{refused}");
    app.delete(&format!("/v1/admin/user/3/bill_item/{}", right["id"]), "admin").await.expect(404);
    app.delete(&format!("{LINES}/999"), "admin").await.expect(404);
    app.delete(&path, "alice").await.expect(403);
}

#[tokio::test]
async fn bill_item_that_reverses_another_bears_its_vat_after_a_move_and_names_its_bill() {
    let app = TestApp::start_with_books().await;
    address(&app.pool, ALICE, "DE", false).await;
    sql(&app.pool, "alter table billing_address disable trigger billing_address_final").await;
    sql(&app.pool, "update billing_address set created_at = '2024-01-01' where replaced_at is null").await;
    let work = app.post(LINES, "admin", line("100.00")).await.expect(201);
    let reversal = |net: &str| {
        json!({ "description": "Work was not done", "net": net, "currency": "CHF", "reason": "ticket 4712",
            "reverses": work["id"] })
    };
    let wrong = async |body: Value| app.post(LINES, "admin", body).await.wrong_fields(422);
    assert_eq!(wrong(reversal("-100.00")).await, ["/reverses"], "it is not billed");
    bill_all(&app.pool, "2024-03-06").await;
    let now = "update billing_address set created_at = '2024-03-10' where replaced_at is null";
    address(&app.pool, ALICE, "US", false).await;
    sql(&app.pool, now).await;
    assert_eq!(wrong(reversal("100.00")).await, ["/net"]);
    assert_eq!(wrong(reversal("-100.01")).await, ["/net"]);
    let mut euros = reversal("-1.00");
    euros["currency"] = json!("EUR");
    assert_eq!(wrong(euros).await, ["/currency"]);
    let mut later = reversal("-1.00");
    later["service_at"] = json!("2024-03-20T00:00:00Z");
    assert_eq!(wrong(later).await, ["/service_at"]);
    let added = app.post(LINES, "admin", reversal("-60.00")).await.expect(201);
    assert_eq!((&added["reverses"], &added["service_at"]), (&work["id"], &work["service_at"]));
    assert_eq!(wrong(reversal("-40.00")).await, ["/reverses"], "it is reversed");
    let billed = app.post(BILL_ALICE, "admin", json!({ "as_of": "2024-03-20T00:00:00Z" })).await.expect(201);
    let bill = &billed["bills"][0];
    assert_followed_by_hand(bill);
    assert_eq!(
        (&bill["document"], &bill["tax"], &bill["vat"][0]["territory"]),
        (&json!("credit_note"), &json!("-11.40"), &json!("DE")),
        "at 19 %, although the customer has moved"
    );
    assert_eq!(bill["lines"][0]["text"], format!("Work was not done; corrects {}", number(1)));
    assert_sound(&app.pool).await;
}

#[tokio::test]
async fn bill_item_create_with_invalid_fields_names_each_field() {
    let app = TestApp::start().await;
    let wrong =
        json!({ "description": " ", "net": "1.005", "currency": "chf", "reason": "a\nb", "service_at": "soon" });
    let fields = app.post(LINES, "admin", wrong).await.wrong_fields(422);
    assert_eq!(fields, ["/description", "/net", "/currency", "/reason", "/service_at"]);
    assert_eq!(app.post(LINES, "admin", line("0.00")).await.wrong_fields(422), ["/net"]);
    let mut number = line("1.00");
    number["net"] = json!(1.0);
    assert_eq!(app.post(LINES, "admin", number).await.wrong_fields(422), ["/net"]);
    app.post("/v1/admin/user/999/bill_item", "admin", line("1.00")).await.expect(404);
    app.get("/v1/admin/user/999/bill_item", "admin").await.expect(404);
    assert_eq!(count(&app.pool, "bill_item").await, 0);
}

#[tokio::test]
async fn bill_run_create_queues_job_and_finished_run_shows_totals() {
    let app = TestApp::start_with_books().await;
    let asked = app.post("/v1/admin/bill_run", "admin", json!({ "as_of": "2024-04-01T00:00:00Z" })).await;
    let location = asked.header("location").to_owned();
    let job = asked.expect(202)["job"]["id"].clone();
    assert_eq!(location, format!("/v1/job/{job}"));
    let detail = app.read(&format!("/v1/admin/job/{job}"), "admin").await;
    assert_eq!((&detail["job"]["kind"], &detail["job"]["queue"]), (&json!("bill_run"), &json!("billing")));
    let ahead = app.post("/v1/admin/bill_run", "admin", json!({ "as_of": "2098-01-01T00:00:00Z" })).await;
    assert_eq!(ahead.wrong_fields(422), ["/as_of"]);

    address(&app.pool, ALICE, "CH", false).await;
    place(&app.pool, &terms(ALICE, "10.00"), "2024-03-01").await;
    place(&app.pool, &terms(BOB, "20.00"), "2024-03-01").await;
    let mut euros = terms(ALICE, "5.00");
    euros.currency = "EUR".parse().expect("a currency");
    place(&app.pool, &euros, "2024-03-01").await;
    let run = bill_all(&app.pool, "2024-03-01").await;
    let shown = app.read(&format!("/v1/admin/bill_run/{run}"), "admin").await;
    assert_eq!((&shown["customers"], &shown["customers_done"], &shown["problems"]), (&json!(2), &json!(2), &json!(1)));
    assert!(shown["finished_at"].is_string(), "{shown}");
    let total = |currency: &str, net: &str, tax: &str, gross: &str| json!({ "currency": currency, "bills": 1, "net": net, "tax": tax, "gross": gross });
    assert_eq!(shown["totals"], json!([total("CHF", "10.00", "0.81", "10.81"), total("EUR", "5.00", "0.41", "5.41")]));
    let problems = app.read(&format!("/v1/admin/bill_run/{run}/problem"), "admin").await;
    assert_eq!(
        (&problems["items"][0]["user_id"], &problems["items"][0]["code"]),
        (&json!(BOB), &json!("no_billing_address"))
    );
    address(&app.pool, BOB, "CH", false).await;
    let second = bill_all(&app.pool, "2024-03-02").await;
    let page = app.read("/v1/admin/bill_run?limit=1", "admin").await;
    assert_eq!(page["items"][0]["id"], second, "the newest first");
    let next = page["next"].as_str().expect("more");
    assert_eq!(app.read(&format!("/v1/admin/bill_run?cursor={next}"), "admin").await["items"][0]["id"], run);
    let of_run = app.read(&format!("/v1/admin/bill?run={run}&currency=CHF"), "admin").await;
    assert_eq!(of_run["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(app.read("/v1/admin/bill?username=bob", "admin").await["items"][0]["username"], "bob");
    app.get("/v1/admin/bill_run/999", "admin").await.expect(404);
}

#[tokio::test]
async fn bill_export_of_period_contains_all_bills_with_vat() {
    let app = TestApp::start_with_books().await;
    address(&app.pool, ALICE, "CH", false).await;
    sql(&app.pool, "update billing_address set replaced_at = now()").await;
    sql(
        &app.pool,
        "insert into billing_address (user_id, name, street, postal_code, city, country)
         values (2, '=HYPERLINK(\"http://x\",\"a\")', 'Weg, \"2\"', '1', 'Ort', 'CH')",
    )
    .await;
    place(&app.pool, &terms(ALICE, "10.00"), "2023-12-20").await;
    bill_all(&app.pool, "2023-12-31").await;
    app.post(LINES, "admin", line("-3.00")).await.expect(201);
    app.post(BILL_ALICE, "admin", json!({ "as_of": "2024-03-06T00:00:00Z" })).await.expect(201);
    date_back(&app.pool).await;
    let all = "/v1/admin/bill/export?from=2023-01-01&to=2025-01-01";
    let csv = app.get(all, "admin").await;
    assert_eq!(csv.status, 200, "{}", csv.text);
    assert!(csv.header("content-type").starts_with("text/csv"));
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"bills-20230101-20250101.csv\"");
    let mut reader = csv::Reader::from_reader(csv.text.as_bytes());
    let columns = reader.headers().expect("a header").clone();
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("CSV");
    assert_eq!(rows.len(), 3, "two rates on the first bill: {}", csv.text);
    let column = |row: usize, name: &str| {
        let place = columns.iter().position(|column| column == name).expect("a column");
        rows[row].get(place).expect("a cell").to_owned()
    };
    for amount in ["vat_taxable_amount", "vat_tax_amount", "bill_net", "bill_amount_due"]
        .iter()
        .flat_map(|name| (0..3).map(|row| column(row, name)))
    {
        assert!(amount.split_once('.').is_some_and(|(_, decimals)| decimals.len() == 2), "two decimals: {amount}");
    }
    assert_eq!(column(0, "name"), "'=HYPERLINK(\"http://x\",\"a\")");
    assert_eq!((column(0, "number"), column(1, "number")), ("2023-000001".into(), "2023-000001".into()));
    assert_eq!((column(0, "vat_rate"), column(1, "vat_rate")), ("0.077".into(), "0.081".into()));
    let json: Value = app.get(&format!("{all}&format=json"), "admin").await.json();
    let bills = json.as_array().expect("an array");
    assert_eq!(bills.len(), 2);
    let ledger = ledger(&app.pool).await;
    for (bill, row) in bills.iter().zip(&ledger) {
        assert_eq!(bill["number"], row["number"]);
        assert_eq!(bill["vat"].as_array().map(Vec::len), row["vat"].as_array().map(Vec::len));
    }
    let none = app.get("/v1/admin/bill/export?from=2025-01-01&to=2026-01-01", "admin").await;
    assert_eq!(none.text.lines().count(), 1, "the header alone: {}", none.text);
    for wrong in
        ["from=2025-01-01", "from=2025-01-01&to=2025-01-01", "from=x&to=y", "from=2025-01-01T00:00:00Z&to=2026-01-01"]
    {
        app.get(&format!("/v1/admin/bill/export?{wrong}"), "admin").await.expect(400);
    }
    app.get(all, "alice").await.expect(403);
}

#[tokio::test]
async fn bill_export_of_2100_bills_is_complete() {
    let app = TestApp::start_with_books().await;
    let customers = crate::books::customers(&app.pool, 2100).await;
    for (place, user) in customers.iter().enumerate() {
        sql(
            &app.pool,
            &format!(
                "insert into bill_item (user_id, currency, description, net_cents, service_at, reason, created_by)
                 values ({user}, 'CHF', 'x', {}, '2024-01-01', 'x', 1)",
                place + 1
            ),
        )
        .await;
    }
    bill_all(&app.pool, "2024-01-01").await;
    let all = format!("/v1/admin/bill/export?from={0}-01-01&to={1}-01-01", this_year(), this_year() + 1);
    let csv = app.get(&all, "admin").await.text;
    let numbers: Vec<&str> = csv.lines().skip(1).map(|line| line.split(',').next().expect("a cell")).collect();
    let expected: Vec<String> = (1..=2100).map(number).collect();
    assert_eq!(numbers, expected);
    let json: Value = app.get(&format!("{all}&format=json"), "admin").await.json();
    assert_eq!(json.as_array().map(Vec::len), Some(2100));
}
