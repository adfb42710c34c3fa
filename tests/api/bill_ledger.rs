//! The content of the ledger: bills by VAT situation, frozen texts, dates, aborted runs, corrections of rates.

use serde_json::{Value, json};
use uncloud::billing::run;

use crate::{
    app::TestApp,
    books::{
        ALICE, BOB, address, assert_followed_by_hand, assert_sound, at, bill_all, books, count, customers, execute,
        ledger, net_of, number, place, replace, sql, terms, this_year,
    },
    shop::{shop, vm},
};

#[tokio::test]
async fn bill_create_in_the_name_of_the_placeholder_seller_is_refused() {
    let app = TestApp::start().await;
    place(&app.pool, &terms(ALICE, "10.00"), "2024-03-01").await;
    address(&app.pool, ALICE, "CH", false).await;
    let refused = app.post("/v1/admin/user/2/bill", "admin", json!({})).await.expect(409);
    assert_eq!(refused["code"], "no_seller");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("PUT /v1/admin/seller")), "{refused}");
    let preview = app.read("/v1/bill/preview", "alice").await;
    assert_eq!(preview["problems"][0]["code"], "no_seller");
    let details = json!({ "name": "Provider AG", "street": "Weg 1", "postal_code": "8000", "city": "Zurich",
        "country": "CH", "time_zone": "Europe/Zurich" });
    let seller = app.put("/v1/admin/seller", "admin", details).await.expect(200);
    assert_eq!(seller["is_placeholder"], false);
    let billed = app.post("/v1/admin/user/2/bill", "admin", json!({})).await.expect(201);
    let bill = &billed["bills"][0];
    assert_eq!((&bill["vat_category"], &bill["tax"]), (&json!("O"), &json!("0.00")), "it has no VAT number");
    assert_eq!(bill["vat"][0]["reason"], "no VAT: the seller is not registered for VAT");
    assert_followed_by_hand(bill);
}

#[tokio::test]
async fn bill_read_after_changes_of_all_that_it_names_is_unchanged() {
    let app = shop().await;
    app.post("/v1/order", "alice", vm(2)).await.expect(201);
    app.post("/v1/admin/user/2/bill", "admin", json!({})).await.expect(201);
    let path = format!("/v1/bill/{}", app.read("/v1/bill", "alice").await["items"][0]["id"]);
    let before = app.read(&path, "alice").await;
    assert_eq!(before["lines"][0]["product"], "vm");
    let rename = "update product set title = 'Other', description = 'other'";
    let parameters = "update product_parameter set unit = 'pieces'";
    for change in [
        rename,
        parameters,
        "update vat_rate set rate_ppm = 1",
        "update orders set billing_ends_at = now() + interval '1 day'",
    ] {
        sql(&app.pool, change).await;
    }
    address(&app.pool, ALICE, "DE", true).await;
    sql(&app.pool, "insert into seller (name, street, postal_code, city, country, time_zone, oss_eu) values ('X', 'x', 'x', 'x', 'CH', 'UTC', false)")
        .await;
    assert_eq!(app.read(&path, "alice").await, before);
}

#[tokio::test]
async fn bill_is_dated_when_it_is_made_and_never_before_the_last_number() {
    let pool = books().await;
    place(&pool, &terms(ALICE, "10.00"), "2024-01-01").await;
    bill_all(&pool, "2024-01-15").await;
    let dates = async || -> Vec<String> {
        sqlx::query_scalar("select issue_date::text from bill_number order by sequence")
            .fetch_all(&pool)
            .await
            .expect("dates")
    };
    let today: String = sqlx::query_scalar("select (now() at time zone 'Europe/Zurich')::date::text")
        .fetch_one(&pool)
        .await
        .expect("a date");
    assert_eq!(dates().await, [today], "not the day up to which it bills");
    assert_eq!(ledger(&pool).await[0]["number"], number(1));
    // The last number is of a later day: a clock was wrong, or somebody billed ahead.
    sql(&pool, "alter table bill_number disable trigger bill_number_final").await;
    let later = format!("{}-12-31", this_year());
    sql(&pool, &format!("update bill_number set issue_date = '{later}'")).await;
    bill_all(&pool, "2024-02-15").await;
    assert_eq!(dates().await, [later.clone(), later]);
}

#[tokio::test]
async fn bill_run_after_move_makes_one_bill_for_each_vat_situation() {
    let pool = books().await;
    let mut arrears = terms(ALICE, "30.00");
    arrears.billing_mode = uncloud::money::charge::BillingMode::Arrears;
    let order = place(&pool, &arrears, "2024-03-01").await;
    sql(&pool, "alter table billing_address disable trigger billing_address_final").await;
    sql(&pool, "update billing_address set created_at = '2024-01-01'").await;
    for (country, since) in [("DE", "2024-03-11"), ("US", "2024-03-21")] {
        address(&pool, ALICE, country, false).await;
        sql(&pool, &format!("update billing_address set created_at = '{since}' where replaced_at is null")).await;
    }
    bill_all(&pool, "2024-04-05").await;
    let situations: Vec<(String, Option<String>, i64, i64)> = sqlx::query_as(
        "select vat_category, territory, net_cents, tax_cents from bill join bill_number using (bill_id) order by sequence",
    )
    .fetch_all(&pool)
    .await
    .expect("bills");
    let territory = |code: &str| Some(code.to_owned());
    assert_eq!(
        situations,
        [
            ("S".into(), territory("CH"), 1000, 81),
            ("S".into(), territory("DE"), 1000, 190),
            ("O".into(), None, 1000, 0)
        ]
    );
    assert_eq!(net_of(&pool, order.order_id).await, 3000);
    let countries: Vec<Value> =
        ledger(&pool).await.iter().map(|bill| bill["content"]["customer"]["country"].clone()).collect();
    assert_eq!(countries, ["US", "US", "US"], "all go to where the customer is now");
    assert_sound(&pool).await;
}

#[tokio::test]
async fn bill_of_the_time_before_a_move_names_the_vat_number_and_country_of_that_time() {
    let pool = books().await;
    address(&pool, ALICE, "DE", true).await;
    sql(&pool, "alter table billing_address disable trigger billing_address_final").await;
    sql(&pool, "update billing_address set created_at = '2024-01-01' where replaced_at is null").await;
    let mut arrears = terms(ALICE, "30.00");
    arrears.billing_mode = uncloud::money::charge::BillingMode::Arrears;
    place(&pool, &arrears, "2024-03-01").await;
    address(&pool, ALICE, "CH", false).await;
    sql(&pool, "update billing_address set created_at = '2024-03-16' where replaced_at is null").await;
    bill_all(&pool, "2024-04-05").await;
    let contents: Vec<Value> = ledger(&pool).await.iter().map(|bill| bill["content"].clone()).collect();
    let reversed = contents.iter().find(|content| content["vat"][0]["code"] == "VATEX-EU-AE").expect("a bill of DE");
    assert_eq!(
        (&reversed["customer"]["vat_number"], &reversed["vat"][0]["reason"]),
        (&json!("DE129273398"), &json!("a business in DE with a verified VAT number owes the VAT itself"))
    );
    assert_eq!(reversed["customer"]["country"], "CH", "it goes to where the customer is now");
    let taxed = contents.iter().find(|content| content["vat"][0].get("code").is_none()).expect("a bill of CH");
    assert_eq!(taxed["customer"].get("vat_number"), None);
    assert_sound(&pool).await;
}

#[tokio::test]
async fn bill_run_abort_undoes_bills_and_next_run_makes_them() {
    let app = TestApp::start_with_books().await;
    let pool = &app.pool;
    let all = customers(pool, 30).await;
    let mut dear = Vec::new();
    for &user in &all {
        let mut both = terms(user, "10.00");
        both.one_time = "5.00".parse().expect("a price");
        dear.push(place(pool, &both, "2024-01-01").await);
    }
    bill_all(pool, "2024-01-15").await;
    for (order, user) in dear.iter().zip(&all) {
        replace(pool, order, &terms(*user, "20.00"), "2024-01-20").await;
        sql(pool, &format!("insert into bill_item (user_id, currency, description, net_cents, service_at, reason, created_by) values ({user}, 'CHF', 'x', 700, '2024-01-20', 'x', 1)")).await;
    }
    let cursors = "select string_agg(order_cursor::text, ' ' order by order_id) from order_cursor";
    let state = async || -> String { sqlx::query_scalar(cursors).fetch_one(pool).await.expect("cursors") };
    let before = state().await;
    let mut tx = pool.begin().await.expect("a transaction");
    let run = run::begin_in(&mut tx, at("2024-02-01"), None).await.expect("begun");
    tx.commit().await.expect("begun");
    run::work(pool, &run, |_| {}).await.expect("worked");
    assert_eq!(count(pool, "bill").await, 60);
    // One of the customers can't be billed alone meanwhile: the numbers of what a credit corrects are not known yet.
    let refused = app.post(&format!("/v1/admin/user/{}/bill", all[0]), "admin", json!({})).await.expect(409);
    assert_eq!(refused["code"], "bill_run_open");
    let path = format!("/v1/admin/bill_run/{}/abort", run.run_id);
    app.post(&path, "alice", Value::Null).await.expect(403);
    let aborted = app.request(reqwest::Method::POST, &path, Some("admin"), None).await.expect(200);
    assert_eq!(aborted["status"], "aborted");
    assert_eq!((count(pool, "bill").await, state().await), (30, before), "as if it had never run");
    let late = run::finish(pool, &run).await.expect_err("it was aborted").to_string();
    assert!(late.contains("was aborted"), "{late}");
    assert_eq!(count(pool, "bill_number").await, 30);
    let repeated = app.request(reqwest::Method::POST, &path, Some("admin"), None).await.expect(200);
    assert_eq!(repeated["status"], "aborted");
    bill_all(pool, "2024-02-01").await;
    assert_eq!(count(pool, "bill").await, 60);
    assert_sound(pool).await;
    let ended = format!("/v1/admin/bill_run/{}/abort", 1);
    assert_eq!(
        app.request(reqwest::Method::POST, &ended, Some("admin"), None).await.expect(409)["code"],
        "bill_run_ended"
    );
}

#[tokio::test]
async fn bill_run_with_unsound_customer_ends_and_reports_it() {
    let pool = books().await;
    let all = customers(&pool, 3).await;
    for &user in &all {
        place(&pool, &terms(user, "10.00"), "2024-01-01").await;
    }
    // A bug, or somebody with psql, makes one customer's totals wrong while they are written.
    execute(
        &pool,
        &format!(
            "create function wrong() returns trigger language plpgsql as $$ begin
                 if new.user_id = {} then new.net_cents := new.net_cents + 1; new.gross_cents := new.gross_cents + 1;
                     new.amount_due_cents := new.amount_due_cents + 1; end if;
                 return new; end $$",
            all[1]
        ),
    )
    .await
    .expect("a function");
    sql(&pool, "create trigger wrong before insert on bill for each row execute function wrong()").await;
    let run = bill_all(&pool, "2024-01-15").await;
    let problems = run::problems(&pool, run).await.expect("problems");
    assert_eq!(
        problems.iter().map(|one| (one.user_id, one.code.name())).collect::<Vec<_>>(),
        [(all[1], "inconsistent_records")]
    );
    assert!(problems[0].detail.contains("bill_totals"), "{}", problems[0].detail);
    assert_eq!(count(&pool, "bill_number").await, 2, "the others have their bills");
    sql(&pool, "drop trigger wrong on bill").await;
    bill_all(&pool, "2024-01-16").await;
    assert_eq!(count(&pool, "bill_number").await, 3, "and the next run bills it");
    assert_sound(&pool).await;
}

#[tokio::test]
async fn rate_correction_of_late_rate_is_listed_and_ordered_once() {
    let app = TestApp::start_with_books().await;
    for user in [ALICE, BOB] {
        address(&app.pool, user, "CH", false).await;
        let mut both = terms(user, "30.00");
        both.one_time = "7.00".parse().expect("a price");
        place(&app.pool, &both, "2024-03-01").await;
    }
    bill_all(&app.pool, "2024-03-01").await;
    let path = "/v1/admin/rate_correction";
    assert_eq!(app.read(path, "admin").await["items"], json!([]));
    sql(&app.pool, "update vat_rate set rate_ppm = 85000 where territory = 'CH' and starts_on = '2024-01-01'").await;
    let expected = json!([{ "territory": "CH", "old_rate": "0.081", "new_rate": "0.085", "currency": "CHF", "bills": 2,
        "customers": 2, "net": "74.00" }]);
    assert_eq!(app.read(path, "admin").await["items"], expected);
    app.get(path, "alice").await.expect(403);
    let order = async || app.request(reqwest::Method::POST, path, Some("admin"), None).await.expect(201);
    // Two at once order it once.
    let (one, other) = tokio::join!(order(), order());
    let mut both = [one["items"].clone(), other["items"].clone()];
    both.sort_by_key(|items| items.as_array().map(Vec::len));
    assert_eq!(both, [json!([]), expected]);
    assert_eq!(app.read(path, "admin").await["items"], json!([]), "nothing is left to order");
    bill_all(&app.pool, "2024-03-05").await;
    let bills = app.read("/v1/bill", "alice").await;
    let bill = app.read(&format!("/v1/bill/{}", bills["items"][1]["id"]), "alice").await;
    assert_followed_by_hand(&bill);
    assert_eq!((&bill["net"], &bill["tax"]), (&json!("0.00"), &json!("0.15")), "3.00 at 8.1 %, 3.15 at 8.5 %");
    let texts: Vec<&str> =
        bill["lines"].as_array().expect("lines").iter().map(|line| line["text"].as_str().expect("text")).collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    let named = format!(
        "Correction of the VAT rate: VM for 30.00, 1 Mar - 31 Mar 2024, credited at 8.1 %; corrects {}",
        number(1)
    );
    assert!(texts.contains(&named.as_str()), "{texts:?}");
    assert_sound(&app.pool).await;
}

#[tokio::test]
async fn order_replacement_charges_one_time_prices_of_what_is_new_only() {
    let app = shop().await;
    sql(&app.pool, "update product_price set one_time_micros = 25000000 where recurring_micros = 3000000").await;
    sql(&app.pool, "update product_parameter_price set one_time_micros = 1000000 where parameter = 'cores' and recurring_micros = 2000000").await;
    let first = app.post("/v1/order", "alice", vm(2)).await.expect(201);
    assert_eq!(first["one_time"], "27.00", "25 for the VM, 1 for each core");
    sql(&app.pool, "alter table orders disable trigger user").await;
    sql(&app.pool, "update orders set starts_at = starts_at - interval '3 days'").await;
    sql(&app.pool, "alter table orders enable trigger user").await;
    let change = |cores: u32| json!({ "product": "vm", "parameters": { "cores": cores, "ram": 4 } });
    let quote = app.post("/v1/order/1/replace/quote", "alice", change(5)).await.expect(200);
    assert_eq!(
        (&quote["replacement"], &quote["one_time"], &quote["parts"][1]["new_quantity"]),
        (&json!("upgrade"), &json!("3.00"), &json!(3))
    );
    let replaced = app.post("/v1/order/1/replace", "alice", change(5)).await.expect(201);
    assert_eq!(replaced["new"]["one_time"], "3.00", "for three more cores");
    let parts: Vec<(&Value, &Value)> = replaced["new"]["parts"]
        .as_array()
        .expect("parts")
        .iter()
        .map(|part| (&part["quantity"], &part["new_quantity"]))
        .collect();
    assert_eq!(parts, [(&json!(1), &json!(0)), (&json!(5), &json!(3)), (&json!(4), &json!(2))]);
    // In the same second: order 2 never was, so what it was to have is still to be paid.
    let again = app.post(&format!("/v1/order/{}/replace", replaced["new"]["id"]), "alice", change(6)).await.expect(201);
    if again["old"]["status"] == "void" {
        assert_eq!(again["new"]["one_time"], "4.00");
    } else {
        assert_eq!(again["new"]["one_time"], "1.00");
    }
    let fewer = app.post(&format!("/v1/order/{}/replace", again["new"]["id"]), "alice", change(1)).await.expect(201);
    assert_eq!((&fewer["replacement"], &fewer["new"]["one_time"]), (&json!("downgrade"), &json!("0.00")));
}

#[tokio::test]
async fn order_undo_of_cancellation_or_downgrade_restores_the_order() {
    let app = shop().await;
    app.post("/v1/order", "alice", vm(4)).await.expect(201);
    let post =
        async |path: &str, body: Option<Value>| app.request(reqwest::Method::POST, path, Some("alice"), body).await;
    let nothing = post("/v1/order/1/undo", None).await.expect(409);
    assert_eq!(nothing["code"], "no_change_pending");
    let before = app.get("/v1/order/1", "alice").await.expect(200);
    post("/v1/order/1/cancel", Some(json!({}))).await.expect(200);
    assert_eq!(post("/v1/order/1/undo", None).await.expect(200), before);
    let down = json!({ "product": "vm", "parameters": { "cores": 1, "ram": 4 } });
    let quote = app.post("/v1/order/1/replace/quote", "alice", down.clone()).await.expect(200);
    assert_eq!((&quote["replacement"], &quote["credit"]), (&json!("downgrade"), &json!("0.00")));
    assert_eq!(count(&app.pool, "orders").await, 1, "a quote writes nothing");
    let down = post("/v1/order/1/replace", Some(down)).await.expect(201);
    assert_eq!(down["new"]["starts_at"], quote["starts_at"]);
    let pending = format!("/v1/order/{}", down["new"]["id"]);
    assert_eq!(post(&format!("{pending}/undo"), None).await.expect(200), before, "by the name of the pending one");
    assert_eq!(app.get(&pending, "alice").await.expect(200)["status"], "void");
    app.request(reqwest::Method::POST, "/v1/order/1/undo", Some("bob"), None).await.expect(404);
    // A disk needs nothing, an address needs the VM.
    let ipv4 = json!({ "product": "ipv4", "parameters": {}, "recurring_period": "P30D", "currency": "CHF" });
    let ipv4 = app.post("/v1/order", "alice", ipv4).await.expect(201)["id"].clone();
    post(&format!("/v1/order/{ipv4}/cancel"), Some(json!({}))).await.expect(200);
    sql(
        &app.pool,
        &format!("update orders set billing_ends_at = billing_ends_at - interval '10 days' where order_id = {ipv4}"),
    )
    .await;
    post("/v1/order/1/cancel", Some(json!({}))).await.expect(200);
    let unmet = post(&format!("/v1/order/{ipv4}/undo"), None).await.expect(409);
    assert_eq!(unmet["code"], "missing_requirement");
    // Too late.
    let wait = "select pg_sleep_until(starts_at + interval '1 second')::text from orders where order_id = 1";
    sqlx::query(wait).execute(&app.pool).await.expect("a second");
    sql(&app.pool, "update orders set billing_ends_at = starts_at + interval '1 second' where order_id = 1").await;
    assert_eq!(post("/v1/order/1/undo", None).await.expect(409)["code"], "order_ended");
    assert_eq!(
        app.request(reqwest::Method::POST, "/v1/admin/order/1/undo", Some("admin"), None).await.expect(409)["code"],
        "order_ended"
    );
}
