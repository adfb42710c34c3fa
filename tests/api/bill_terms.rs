//! The terms of bills: languages, due dates, billing days, bills of orders that are just placed, prices with VAT.

use reqwest::Method;
use serde_json::{Value, json};
use uncloud::billing::run;

use crate::{
    app::TestApp,
    books::{ALICE, BOB, assert_sound, at, bill_all, count, customers, place, terms},
    shop::{shop, simple, vm},
};

const SELLER: &str = "/v1/admin/seller";

fn with(mut body: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("{changes} is not an object") };
    body.as_object_mut().expect("an object").extend(changes);
    body
}

fn seller(changes: Value) -> Value {
    let details = json!({ "name": "Provider AG", "street": "Weg", "house_number": "1", "postal_code": "8000",
        "city": "Zurich", "country": "CH", "vat_number": "CHE-116.281.710 MWST", "time_zone": "Europe/Zurich" });
    with(details, changes)
}

fn customer(changes: Value) -> Value {
    let address =
        json!({ "name": "A", "street": "Seeweg 2", "postal_code": "8750", "city": "Glarus", "country": "CH" });
    with(address, changes)
}

async fn texts(app: &TestApp, user: &str) -> Vec<Value> {
    let bill = app.read("/v1/bill", user).await["items"][0]["id"].clone();
    let bill = app.read(&format!("/v1/bill/{bill}"), user).await;
    bill["lines"].as_array().expect("lines").iter().map(|line| line["text"].clone()).collect()
}

#[tokio::test]
async fn bill_is_in_the_language_of_its_customer_or_else_of_the_seller() {
    let app = TestApp::start().await;
    app.put(SELLER, "admin", seller(json!({ "language": "fr" }))).await.expect(200);
    let order = json!({ "product": "ipv6-vm", "parameters": { "cores": 1, "memory_gb": 4 }, "currency": "CHF",
        "recurring_period": "P30D" });
    for (user, language) in [("alice", json!("de")), ("bob", Value::Null)] {
        let mut address = customer(json!({}));
        if !language.is_null() {
            address["language"] = language;
        }
        app.put("/v1/billing_address", user, address).await.expect(200);
        app.post("/v1/order", user, order.clone()).await.expect(201);
    }
    for user in [ALICE, BOB] {
        app.post(&format!("/v1/admin/user/{user}/bill"), "admin", json!({})).await.expect(201);
    }
    let line = |texts: Vec<Value>| texts[0].as_str().expect("a text").to_owned();
    let german = line(texts(&app, "alice").await);
    assert!(german.starts_with("VM nur mit IPv6 (1 Kern, 4 GB Arbeitsspeicher), "), "{german}");
    let french = line(texts(&app, "bob").await);
    assert!(french.starts_with("VM IPv6 uniquement (1 cœur, 4 Go de mémoire), "), "{french}");
    // What is final does not follow a change of the language.
    app.put("/v1/billing_address", "alice", customer(json!({ "language": "it" }))).await.expect(200);
    assert_eq!(line(texts(&app, "alice").await), german);
    let wrong = app.put("/v1/billing_address", "alice", customer(json!({ "language": "rm" }))).await;
    assert_eq!(wrong.wrong_fields(422), ["/language"]);
}

#[tokio::test]
async fn bill_is_due_after_the_days_of_its_customer_or_else_of_the_seller() {
    let app = shop().await;
    app.put(SELLER, "admin", seller(json!({ "payment_days": 14 }))).await.expect(200);
    app.put("/v1/billing_address", "bob", customer(json!({}))).await.expect(200);
    let edit = async |body: Value| app.request(Method::PATCH, "/v1/admin/user/2", Some("admin"), Some(body)).await;
    assert_eq!(edit(json!({ "payment_days": 366 })).await.wrong_fields(422), ["/payment_days"]);
    assert_eq!(edit(json!({ "payment_days": 60 })).await.expect(200)["payment_days"], 60);
    for user in ["alice", "bob"] {
        app.post("/v1/order", user, vm(1)).await.expect(201);
    }
    let mut days = Vec::new();
    for user in [ALICE, BOB] {
        let path = format!("/v1/admin/user/{user}/bill");
        let bill = app.post(&path, "admin", json!({})).await.expect(201)["bills"][0].clone();
        let date =
            |member: &str| -> chrono::NaiveDate { serde_json::from_value(bill[member].clone()).expect("a date") };
        days.push((date("due_date") - date("issue_date")).num_days());
    }
    assert_eq!(days, [60, 14]);
    let before = app.read("/v1/bill", "alice").await;
    edit(json!({ "payment_days": 5 })).await.expect(200);
    app.put(SELLER, "admin", seller(json!({ "payment_days": 10 }))).await.expect(200);
    assert_eq!(app.read("/v1/bill", "alice").await, before);
}

#[tokio::test]
async fn bill_run_without_time_bills_up_to_the_last_billing_day() {
    let app = TestApp::start().await;
    let cut_off = async |now: &str| {
        run::cut_off(&mut app.pool.acquire().await.expect("a connection"), at(now)).await.expect("a time")
    };
    assert_eq!(cut_off("2026-03-10T12:00:00Z").await, at("2026-03-10T12:00:00Z"), "each order on its own day");
    assert_eq!(
        app.put(SELLER, "admin", seller(json!({ "billing_day": 29 }))).await.wrong_fields(422),
        ["/billing_day"]
    );
    app.put(SELLER, "admin", seller(json!({ "billing_day": 15 }))).await.expect(200);
    for (now, expected) in [
        ("2026-03-14T22:59:59Z", "2026-02-14T23:00:00Z"),
        ("2026-03-14T23:00:00Z", "2026-03-14T23:00:00Z"),
        ("2026-04-01T12:00:00Z", "2026-03-14T23:00:00Z"),
        ("2026-01-01T00:00:00Z", "2025-12-14T23:00:00Z"),
        ("2026-06-30T12:00:00Z", "2026-06-14T22:00:00Z"),
    ] {
        assert_eq!(cut_off(now).await, at(expected), "{now}");
    }
}

#[tokio::test]
async fn order_is_billed_when_it_is_placed_if_the_seller_says_so() {
    let app = shop().await;
    app.put(SELLER, "admin", seller(json!({ "bill_at_order": true }))).await.expect(200);
    app.post("/v1/order", "alice", vm(1)).await.expect(201);
    let bills = app.read("/v1/bill", "alice").await;
    assert_eq!((&bills["items"][0]["net"], bills["items"].as_array().map(Vec::len)), (&json!("7.00"), Some(1)));
    // What an upgrade takes back and what it costs are on one bill.
    app.post("/v1/order/1/replace", "alice", json!({ "product": "vm", "parameters": { "cores": 3, "ram": 2 } }))
        .await
        .expect(201);
    let upgrade = app.read("/v1/bill", "alice").await["items"][1].clone();
    let upgrade = app.read(&format!("/v1/bill/{}", upgrade["id"]), "alice").await;
    let kinds: Vec<&Value> = upgrade["lines"].as_array().expect("lines").iter().map(|line| &line["kind"]).collect();
    assert!(kinds.contains(&&json!("recurring")), "{upgrade}");
    // Staff can place orders of customers without an address; the next run says why they are not billed.
    let rack = |changes: Value| {
        let rack = json!({ "username": "alice", "description": "A rack unit", "recurring": "5.00", "currency": "CHF",
            "recurring_period": "P30D" });
        with(rack, changes)
    };
    let order = async |changes: Value| app.post("/v1/admin/order", "admin", rack(changes)).await.expect(201);
    order(json!({ "username": "bob" })).await;
    assert_eq!(app.read("/v1/bill", "bob").await["items"], json!([]));
    // Neither arrears, nor what starts later, nor what else is due.
    place(&app.pool, &terms(ALICE, "100.00"), "2024-01-01").await;
    order(json!({ "billing_mode": "arrears" })).await;
    assert_eq!(count(&app.pool, "bill").await, 2);
    order(json!({})).await;
    let last = app.read("/v1/bill", "alice").await["items"][2].clone();
    assert_eq!(last["net"], "5.00");
    // Nothing twice: a run adds what is due besides.
    let now: String = sqlx::query_scalar("select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SSZ')")
        .fetch_one(&app.pool)
        .await
        .expect("a time");
    bill_all(&app.pool, &now).await;
    let again: i64 =
        count(&app.pool, "(select order_id, charge_from from bill_charge group by 1, 2 having count(*) > 1) x").await;
    assert_eq!(again, 0);
    assert_sound(&app.pool).await;
}

#[tokio::test]
async fn order_placed_while_a_run_is_open_is_billed_later() {
    let app = shop().await;
    app.put(SELLER, "admin", seller(json!({ "bill_at_order": true }))).await.expect(200);
    let others = customers(&app.pool, 3).await;
    for &user in &others {
        place(&app.pool, &terms(user, "10.00"), "2024-01-01").await;
    }
    let mut tx = app.pool.begin().await.expect("a transaction");
    let run = run::begin_in(&mut tx, at("2024-02-01"), None).await.expect("begun");
    tx.commit().await.expect("begun");
    app.post("/v1/order", "alice", vm(1)).await.expect(201);
    run::work(&app.pool, &run, |_| {}).await.expect("worked");
    run::finish(&app.pool, &run).await.expect("ended");
    app.post("/v1/order", "alice", simple("ipv4")).await.expect(201);
    assert_sound(&app.pool).await;
    let unbilled = count(&app.pool, "order_cursor where user_id = 2 and billed_through is null").await;
    assert!(unbilled <= 1, "{unbilled}");
}

#[tokio::test]
async fn seller_accounts_and_addresses_are_checked() {
    let app = TestApp::start().await;
    let account = json!({ "currency": "CHF", "iban": "ch93 0076 2011 6238 5295 7",
        "qr_iban": "CH44 3199 9123 0008 8901 2", "bic": "GLKBCH22" });
    let details = json!({ "accounts": [account], "contact_email": "bills@example.ch",
        "electronic_address": "0204:991-01234-44", "registration_number": "CHE-116.281.710", "footer": "Thank you" });
    let set = app.put(SELLER, "admin", seller(details.clone())).await.expect(200);
    assert_eq!(
        set["accounts"],
        json!([{ "currency": "CHF", "iban": "CH9300762011623852957", "qr_iban": "CH4431999123000889012",
            "bic": "GLKBCH22" }])
    );
    assert_eq!((&set["payment_days"], &set["language"]), (&json!(30), &json!("en")));
    assert_eq!(app.put(SELLER, "admin", seller(details)).await.expect(200), set, "the same again changes nothing");
    let wrong = json!({ "accounts": [
        { "currency": "CHF", "iban": "CH9300762011623852958" },
        { "currency": "EUR", "iban": "CH4431999123000889012", "bic": "glkb" },
        { "currency": "USD", "iban": "CH9300762011623852957", "qr_iban": "CH9300762011623852957" },
    ] });
    assert_eq!(
        app.put(SELLER, "admin", seller(wrong)).await.wrong_fields(422),
        ["/accounts/0/iban", "/accounts/1/iban", "/accounts/1/bic", "/accounts/2/qr_iban"]
    );
    let euros = json!({ "currency": "EUR", "iban": "CH9300762011623852957" });
    let wrong = json!({ "accounts": [euros, euros], "contact_email": "nobody", "electronic_address": "x" });
    assert_eq!(
        app.put(SELLER, "admin", seller(wrong)).await.wrong_fields(422),
        ["/contact_email", "/electronic_address", "/accounts/1/currency"]
    );
    let wrong = customer(json!({ "email": "a@b", "electronic_address": "0204" }));
    assert_eq!(
        app.put("/v1/billing_address", "alice", wrong).await.wrong_fields(422),
        ["/email", "/electronic_address"]
    );
}

#[tokio::test]
async fn bill_keeps_what_documents_need_of_both_parties() {
    let app = shop().await;
    let account = json!({ "currency": "CHF", "iban": "CH9300762011623852957" });
    app.put(SELLER, "admin", seller(json!({ "accounts": [account], "contact_name": "Books" }))).await.expect(200);
    let details = json!({ "house_number": "2a", "email": "bills@example.ch", "buyer_reference": "991-01234-44",
        "order_reference": "PO 7", "electronic_address": "0204:991-01234-44" });
    app.put("/v1/billing_address", "alice", customer(details)).await.expect(200);
    app.post("/v1/order", "alice", vm(1)).await.expect(201);
    let billed = app.post("/v1/admin/user/2/bill", "admin", json!({})).await.expect(201);
    let customer = &billed["bills"][0]["customer"];
    for (member, expected) in [("house_number", "2a"), ("buyer_reference", "991-01234-44"), ("order_reference", "PO 7")]
    {
        assert_eq!(customer[member], expected, "{customer}");
    }
    let seller: Value = sqlx::query_scalar("select seller from bill_run").fetch_one(&app.pool).await.expect("a run");
    assert_eq!(
        (&seller["accounts"][0]["iban"], &seller["contact_name"]),
        (&json!("CH9300762011623852957"), &json!("Books"))
    );
}

#[tokio::test]
async fn product_prices_are_shown_with_the_vat_of_the_sellers_country() {
    let app = shop().await;
    let id: i64 = sqlx::query_scalar("select product_id from product where name = 'vm'")
        .fetch_one(&app.pool)
        .await
        .expect("a product");
    let path = format!("/v1/product/{id}");
    let price = async || {
        let product = app.get(&path, "alice").await.expect(200);
        let prices = product["prices"].as_array().expect("prices").clone();
        prices.into_iter().find(|price| price["recurring_period"] == "P30D").expect("a price")
    };
    let shown = price().await;
    assert_eq!((&shown["recurring"], &shown["recurring_gross"]), (&json!("3.00"), &json!("3.24")));
    assert_eq!(shown["parameters"][0]["recurring_gross"], "2.16");
    let mut unregistered = seller(json!({}));
    unregistered.as_object_mut().expect("an object").remove("vat_number");
    app.put(SELLER, "admin", unregistered).await.expect(200);
    assert!(price().await.get("recurring_gross").is_none(), "the seller charges none");
}
