//! Billing addresses and the seller's details.

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::TestApp;

pub fn business() -> Value {
    json!({
        "name": "Alice Example", "company": "Example GmbH", "street": "Hauptstraße 1", "postal_code": "10115",
        "city": "Berlin", "country": "DE", "vat_number": "DE 136 695 976",
    })
}

fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

fn without(mut body: Value, field: &str) -> Value {
    body.as_object_mut().expect("an object").remove(field);
    body
}

const MINE: &str = "/v1/billing_address";

async fn alice_id(app: &TestApp) -> i64 {
    sqlx::query_scalar("select user_id from users where username = 'alice'").fetch_one(&app.pool).await.expect("alice")
}

async fn rows(app: &TestApp) -> i64 {
    sqlx::query_scalar("select count(*) from billing_address").fetch_one(&app.pool).await.expect("a count")
}

#[tokio::test]
async fn billing_address_update_affects_only_owner_and_keeps_versions() {
    let app = TestApp::start().await;
    let none = app.get(MINE, "alice").await;
    assert_eq!(none.expect(404)["code"], "not_found");
    assert!(none.text.contains("PUT /v1/billing_address"), "{}", none.text);
    let set = app.put("/v1/billing_address/", "alice", business()).await.expect(200);
    assert_eq!(set["vat_number"], "DE136695976", "without separators");
    assert!(set.get("vat_verified_at").is_none(), "{set}");
    assert_eq!(app.get(MINE, "alice").await.expect(200), set);
    assert_eq!(app.put(MINE, "alice", business()).await.expect(200), set, "the same again changes nothing");
    assert_eq!(rows(&app).await, 1);
    let moved = app.put(MINE, "alice", with(business(), "city", "Potsdam")).await.expect(200);
    assert_ne!(moved["id"], set["id"]);
    assert_eq!(rows(&app).await, 2, "bills may point to the old one");
    app.get(MINE, "bob").await.expect(404);
    app.put(MINE, "bob", without(without(business(), "vat_number"), "company")).await.expect(200);
    assert_eq!(app.get(MINE, "alice").await.expect(200), moved);
    let path = format!("/v1/admin/user/{}/billing_address", alice_id(&app).await);
    assert_eq!(app.get(&path, "admin").await.expect(200), moved);
    app.get(&path, "bob").await.expect(403);
    app.request(Method::PUT, MINE, None, Some(business())).await.expect(401);
    app.get("/v1/admin/user/999/billing_address", "admin").await.expect(404);
}

#[tokio::test]
async fn billing_address_update_with_invalid_fields_names_each_field() {
    let app = TestApp::start().await;
    for (body, fields) in [
        (without(business(), "name"), vec!["/name"]),
        (with(with(business(), "name", " Alice"), "country", "EL"), vec!["/name", "/country"]),
        (with(business(), "country", "de"), vec!["/country"]),
        (with(business(), "street", "a\nb"), vec!["/street"]),
        (with(business(), "postal_code", ""), vec!["/postal_code"]),
        (with(business(), "vat_number", "DE136695977"), vec!["/vat_number"]),
        (with(business(), "vat_number", "ATU13585627"), vec!["/vat_number"]),
        (without(business(), "company"), vec!["/company"]),
        (with(without(business(), "company"), "vat_number", "1"), vec!["/vat_number", "/company"]),
        (with(business(), "country", "US"), vec!["/vat_number"]),
        (with(business(), "vat_verified_at", "2025-01-01T00:00:00Z"), vec!["/vat_verified_at"]),
    ] {
        let response = app.put(MINE, "alice", body.clone()).await;
        assert_eq!(response.wrong_fields(422), fields, "{body}");
    }
    assert_eq!(rows(&app).await, 0);
}

#[tokio::test]
async fn vat_number_verify_by_staff_applies_only_to_that_number() {
    let app = TestApp::start().await;
    let verification = format!("/v1/admin/user/{}/billing_address/verification", alice_id(&app).await);
    let evidence = json!({ "evidence": "VIES, request identifier WAPIAAAAW1" });
    app.post(&verification, "admin", evidence.clone()).await.expect(404);
    app.put(MINE, "alice", without(business(), "vat_number")).await.expect(200);
    assert_eq!(app.post(&verification, "admin", evidence.clone()).await.expect(409)["code"], "no_vat_number");
    app.put(MINE, "alice", business()).await.expect(200);
    app.post(&verification, "alice", evidence.clone()).await.expect(403);
    let other = app.post(&verification, "admin", with(evidence.clone(), "vat_number", "DE 111 111 125")).await;
    assert_eq!(other.wrong_fields(409), ["/vat_number"]);
    assert!(other.text.contains("DE136695976"), "{}", other.text);
    let before = rows(&app).await;
    let verified = app.post(&verification, "admin", with(evidence, "vat_number", "DE 136695976")).await.expect(201);
    assert_eq!(rows(&app).await, before + 1, "a row of its own");
    assert_eq!(verified["vat_evidence"], "VIES, request identifier WAPIAAAAW1");
    assert!(verified["vat_verified_by"].is_i64(), "{verified}");
    let mine = app.get(MINE, "alice").await.expect(200);
    assert_eq!(mine["vat_verified_at"], verified["vat_verified_at"]);
    assert!(mine.get("vat_evidence").is_none() && mine.get("vat_verified_by").is_none(), "staff's notes are staff's");

    let moved = app.put(MINE, "alice", with(business(), "city", "Potsdam")).await.expect(200);
    assert_eq!(moved["vat_verified_at"], verified["vat_verified_at"], "the same number in the same country");
    let new_number = app.put(MINE, "alice", with(business(), "vat_number", "DE111111125")).await.expect(200);
    assert!(new_number.get("vat_verified_at").is_none(), "another number is not verified: {new_number}");
    let back = app.put(MINE, "alice", business()).await.expect(200);
    assert!(back.get("vat_verified_at").is_none(), "and is not verified again by itself: {back}");
}

#[tokio::test]
async fn billing_address_updates_at_once_leave_one_current_address() {
    let app = TestApp::start().await;
    app.put(MINE, "alice", business()).await.expect(200);
    let change = async |city: &str| app.put(MINE, "alice", with(business(), "city", city)).await.expect(200);
    tokio::join!(change("Potsdam"), change("Bonn"), change("Ulm"), change("Jena"));
    let current: i64 = sqlx::query_scalar("select count(*) from billing_address where replaced_at is null")
        .fetch_one(&app.pool)
        .await
        .expect("a count");
    assert_eq!((current, rows(&app).await), (1, 5));
}

#[tokio::test]
async fn seller_update_by_staff_validates_fields_and_keeps_versions() {
    let app = TestApp::start().await;
    let placeholder = app.get("/v1/admin/seller", "admin").await.expect(200);
    assert_eq!((&placeholder["country"], &placeholder["time_zone"]), (&json!("CH"), &json!("Europe/Zurich")));
    let details = json!({
        "name": "ungleich glarus ag", "street": "Bahnhofstrasse 1", "postal_code": "8783", "city": "Linthal",
        "country": "CH", "vat_number": "CHE-116.281.710 MWST", "time_zone": "Europe/Zurich", "oss_eu": "true",
    });
    let set = app.put("/v1/admin/seller", "admin", details.clone()).await.expect(200);
    assert_eq!((&set["vat_number"], &set["oss_eu"]), (&json!("CHE116281710MWST"), &json!(true)));
    assert_eq!(set["cash_rounding"], false);
    assert_eq!(
        app.put("/v1/admin/seller", "admin", details.clone()).await.expect(200),
        set,
        "the same changes nothing"
    );
    assert_eq!(app.get("/v1/admin/seller", "admin").await.expect(200), set);
    for (field, value) in [
        ("country", json!("DE")),
        ("vat_number", json!("CHE-116.281.711")),
        ("time_zone", json!("Europe/Linthal")),
        ("cash_rounding", json!("5")),
    ] {
        let response = app.put("/v1/admin/seller", "admin", with(details.clone(), field, value)).await;
        assert!(response.wrong_fields(422).contains(&format!("/{field}")), "{}", response.text);
    }
    app.put("/v1/admin/seller", "alice", details).await.expect(403);
    app.get("/v1/admin/seller", "alice").await.expect(403);
    let sellers: i64 = sqlx::query_scalar("select count(*) from seller").fetch_one(&app.pool).await.expect("a count");
    assert_eq!(sellers, 2, "bills may point to the placeholder");
}
