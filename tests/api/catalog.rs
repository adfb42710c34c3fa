//! The catalogue: what staff write, what everybody reads.

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::TestApp;

/// A product of its own, for 30 days in CHF.
fn backup() -> Value {
    json!({
        "name": "backup",
        "title": "Backup",
        "description": "Copies,\nelsewhere.",
        "parameters": [{ "name": "backup_gb", "unit": "GB", "minimum": "10", "maximum": 100, "step": 10 }],
        "prices": [{
            "recurring_period": "P30D", "currency": "CHF", "one_time": "5.00", "recurring": "1.50", "commitment_periods": 2,
            "parameters": [{ "name": "backup_gb", "recurring": "0.02" }],
        }],
        "requires": [{ "name": "ipv6-vm" }],
    })
}

/// The body of an edit that changes only these members.
fn edit(product: &Value, changes: &Value) -> Value {
    let mut body = product.clone();
    body.as_object_mut().expect("an object").remove("name");
    for (member, value) in changes.as_object().expect("an object") {
        body[member] = value.clone();
    }
    body
}

pub async fn product(app: &TestApp, name: &str) -> Value {
    let products = app.get("/v1/admin/product?limit=100", "admin").await.expect(200);
    let mut products = products["items"].as_array().expect("a list").iter();
    products.find(|product| product["name"] == name).unwrap_or_else(|| panic!("no product {name}")).clone()
}

#[tokio::test]
async fn product_list_without_login_returns_only_products_on_sale() {
    let app = TestApp::start().await;
    let list = app.request(Method::GET, "/v1/product", None, None).await.expect(200);
    let names: Vec<&str> = list["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|product| product["name"].as_str().expect("text"))
        .collect();
    assert_eq!(names, ["vpn-network", "ipv6-vm", "ipv4-address", "ssd", "dual-stack-vm", "setup"]);
    let vpn = &list["items"][0];
    assert_eq!(vpn["prices"][0]["recurring"], "0.00");
    assert_eq!((&vpn["prices"][0]["commitment_periods"], &vpn["delivery"]), (&json!(0), &json!("vpn_network")));
    for (name, from, until) in [
        ("over", "2020-01-01T00:00:00Z", json!("2021-01-01T00:00:00Z")),
        ("to-come", "2999-01-01T00:00:00Z", json!("2999-02-01T00:00:00Z")),
    ] {
        let body = json!({ "name": name, "title": name, "sale_from": from, "sale_until": until });
        let product = app.post("/v1/admin/product", "admin", body).await.expect(201);
        let path = format!("/v1/product/{}", product["id"]);
        assert_eq!(app.request(Method::GET, &path, None, None).await.expect(404)["code"], "not_found", "{name}");
        app.get(&format!("/v1/admin/product/{}", product["id"]), "admin").await.expect(200);
    }
    assert_eq!(app.request(Method::GET, "/v1/product", None, None).await.expect(200), list);
    let bundle =
        app.request(Method::GET, &format!("/v1/product/{}", list["items"][4]["id"]), None, None).await.expect(200);
    assert_eq!(bundle["components"].as_array().map(Vec::len), Some(3));
    assert_eq!(bundle["components"][2]["parameters"][0]["step"], 10);
    let page = app.get("/v1/product?limit=2", "alice").await.expect(200);
    let next = app.get(&format!("/v1/product?limit=2&cursor={}", page["next"].as_str().expect("more")), "alice").await;
    assert_eq!(next.expect(200)["items"][0]["name"], "ipv4-address");
}

#[tokio::test]
async fn product_read_after_create_returns_created_product() {
    let app = TestApp::start().await;
    let response = app.post("/v1/admin/product/", "admin", backup()).await;
    let made = response.expect(201);
    assert_eq!(response.header("location"), format!("/v1/admin/product/{}", made["id"]));
    assert_eq!(
        made["parameters"],
        json!([{ "name": "backup_gb", "unit": "GB", "words": [], "minimum": 10, "maximum": 100, "step": 10 }])
    );
    assert_eq!(
        made["prices"],
        json!([{
            "recurring_period": "P30D", "currency": "CHF", "one_time": "5.00", "recurring": "1.50", "commitment_periods": 2,
            "parameters": [{ "name": "backup_gb", "one_time": "0.00", "recurring": "0.02" }],
        }])
    );
    assert_eq!(made["requires"][0]["name"], "ipv6-vm");
    assert_eq!((&made["delivery"], &made["billing_mode"]), (&json!("manual"), &json!("advance")));
    assert_eq!(app.get(&format!("/v1/product/{}", made["id"]), "alice").await.expect(200), made);
    let taken = app.post("/v1/admin/product", "admin", backup()).await;
    assert_eq!((taken.wrong_fields(409), &taken.json()["code"]), (vec!["/name".to_owned()], &json!("name_taken")));
}

#[tokio::test]
async fn product_update_with_new_content_replaces_it_and_keeps_name() {
    let app = TestApp::start().await;
    let made = app.post("/v1/admin/product", "admin", backup()).await.expect(201);
    let path = format!("/v1/admin/product/{}", made["id"]);
    let other = json!({
        "title": "Backups", "billing_mode": "arrears", "sale_until": "2999-01-01T00:00:00Z", "requires": [],
        "parameters": [{ "name": "copies", "unit": "copies", "minimum": 1, "maximum": 3 }],
        "prices": [{ "currency": "EUR", "one_time": "9.90" }],
    });
    let changed = app.put(&path, "admin", edit(&backup(), &other)).await.expect(200);
    assert_eq!(
        (&changed["name"], &changed["title"], &changed["billing_mode"]),
        (&json!("backup"), &json!("Backups"), &json!("arrears"))
    );
    assert_eq!(changed["sale_from"], made["sale_from"], "it stays when it is left out");
    assert_eq!(changed["parameters"][0]["step"], 1);
    assert_eq!(
        changed["prices"],
        json!([{ "currency": "EUR", "one_time": "9.90", "recurring": "0.00", "commitment_periods": 0, "parameters": [] }])
    );
    assert_eq!(app.get(&path, "admin").await.expect(200), changed);
    assert_eq!(app.put(&path, "admin", backup()).await.wrong_fields(422), ["/name"], "names never change");
    app.put("/v1/admin/product/999", "admin", edit(&backup(), &json!({}))).await.expect(404);
}

#[tokio::test]
async fn product_create_with_invalid_fields_names_all_and_writes_nothing() {
    let app = TestApp::start().await;
    let before = app.get("/v1/admin/product", "admin").await.expect(200);
    let wrong = json!({
        "name": "Back up",
        "delivery": "by_post",
        "parameters": [{ "name": "gb", "unit": "GB", "minimum": 10, "maximum": 100, "step": 0, "price": "1.00" }],
        "prices": [
            { "recurring_period": "30 days", "currency": "chf", "recurring": "1.5050505" },
            { "currency": "CHF", "one_time": 5, "recurring": "-1.00" },
        ],
        "components": ["ssd"],
    });
    let response = app.post("/v1/admin/product", "admin", wrong).await;
    assert_eq!(
        response.wrong_fields(422),
        [
            "/name",
            "/title",
            "/delivery",
            "/parameters/0/price",
            "/parameters/0/step",
            "/prices/0/recurring_period",
            "/prices/0/currency",
            "/prices/0/recurring",
            "/prices/1/one_time",
            "/prices/1/recurring",
            "/components/0",
        ],
        "{}",
        response.text
    );
    let wrong = json!({
        "name": "backup", "title": "Backup",
        "sale_from": "2025-01-02T00:00:00Z", "sale_until": "2025-01-02T00:00:00Z",
        "parameters": [
            { "name": "gb", "unit": "GB", "minimum": 10, "maximum": 95, "step": 10 },
            { "name": "gb", "unit": "GB", "minimum": 2, "maximum": 1 },
        ],
        "prices": [
            { "recurring_period": "P30D", "currency": "CHF", "parameters": [{ "name": "tb" }, { "name": "gb" }, { "name": "gb" }] },
            { "recurring_period": "P30D", "currency": "CHF" },
            { "recurring_period": "P7D", "currency": "CHF" },
            { "currency": "CHF", "recurring": "1.00", "commitment_periods": 1 },
        ],
        "requires": [{ "name": "backup" }, { "name": "ipv6-vm" }, { "name": "ipv6-vm" }],
        "components": [{ "name": "ssd" }, { "name": "ssd" }, { "name": "dual-stack-vm" }, { "name": "none" }],
    });
    let response = app.post("/v1/admin/product", "admin", wrong).await;
    assert_eq!(
        response.wrong_fields(422),
        [
            "/sale_until",
            "/parameters/1/name",
            "/parameters/0/maximum",
            "/parameters/1/maximum",
            "/prices/1/recurring_period",
            "/prices/0/parameters/0/name",
            "/prices/0/parameters/2/name",
            "/prices/3/recurring",
            "/prices/3/commitment_periods",
            "/requires/2/name",
            "/components/1/name",
            "/prices/2/recurring_period",
            "/requires/0/name",
            "/components/2/name",
            "/components/3/name",
        ],
        "{}",
        response.text
    );
    assert!(
        response.text.contains("such as 90 or 100") && response.text.contains("P30D, P1D, P1M, P1Y"),
        "{}",
        response.text
    );
    assert_eq!(app.get("/v1/admin/product", "admin").await.expect(200), before);
}

#[tokio::test]
async fn product_change_making_bundle_parameters_ambiguous_is_refused() {
    let app = TestApp::start().await;
    let backup_with = |parameter: &str| {
        let parameters = json!([{ "name": parameter, "unit": "GB", "minimum": 1, "maximum": 2 }]);
        json!({ "name": "backup", "title": "Backup", "parameters": parameters, "prices": [{ "recurring_period": "P30D", "currency": "CHF" }] })
    };
    let made = app.post("/v1/admin/product", "admin", backup_with("ssd_gb")).await.expect(201);
    let path = format!("/v1/admin/product/{}", made["id"]);
    let bundle = |name: &str, period: &str| {
        let prices = json!([{ "recurring_period": period, "currency": "CHF" }]);
        json!({ "name": name, "title": name, "prices": prices, "components": [{ "name": "ssd", "quantity": "2" }, { "name": "backup" }] })
    };
    let refused = app.post("/v1/admin/product", "admin", bundle("safe", "P30D")).await;
    assert_eq!(refused.wrong_fields(422), ["/components"]);
    for word in ["ssd", "backup", "ssd_gb", "safe"] {
        assert!(refused.text.contains(word), "{}", refused.text);
    }
    app.put(&path, "admin", edit(&backup_with("backup_gb"), &json!({}))).await.expect(200);
    let no_price = app.post("/v1/admin/product", "admin", bundle("safe", "P1D")).await;
    assert_eq!(no_price.wrong_fields(422), ["/prices/0/recurring_period"]);
    assert!(no_price.text.contains("backup has no price for P1D in CHF"), "{}", no_price.text);
    let made = app.post("/v1/admin/product", "admin", bundle("safe", "P30D")).await.expect(201);
    assert_eq!(made["components"][0]["quantity"], 2);
    let back = app.put(&path, "admin", edit(&backup_with("ssd_gb"), &json!({}))).await;
    assert_eq!(back.wrong_fields(422), ["/parameters"]);
    assert!(back.text.contains("in the bundle safe"), "{}", back.text);
    let into_bundle = edit(&backup_with("backup_gb"), &json!({ "components": [{ "name": "ipv4-address" }] }));
    let response = app.put(&path, "admin", into_bundle).await;
    assert_eq!(response.wrong_fields(422), ["/components"], "a component becomes no bundle: {}", response.text);
    let in_bundle = json!({ "name": "safer", "title": "Safer", "components": [{ "name": "safe" }] });
    assert_eq!(app.post("/v1/admin/product", "admin", in_bundle).await.wrong_fields(422), ["/components/0/name"]);
}

#[tokio::test]
async fn product_updates_at_once_never_make_bundle_ambiguous() {
    let app = TestApp::start().await;
    let (vm, ssd) = (product(&app, "ipv6-vm").await, product(&app, "ssd").await);
    let with_parameter = |product: &Value| {
        let title = product["title"].clone();
        let parameters = json!([{ "name": "nodes", "unit": "nodes", "minimum": 1, "maximum": 2 }]);
        let prices = json!([
            { "recurring_period": "P30D", "currency": "CHF" }, { "recurring_period": "P1D", "currency": "CHF" },
            { "recurring_period": "P30D", "currency": "EUR" }, { "recurring_period": "P1D", "currency": "EUR" },
        ]);
        json!({ "title": title, "parameters": parameters, "prices": prices })
    };
    let path = |product: &Value| format!("/v1/admin/product/{}", product["id"]);
    let (vm_path, ssd_path) = (path(&vm), path(&ssd));
    let (one, other) = tokio::join!(
        app.put(&vm_path, "admin", with_parameter(&vm)),
        app.put(&ssd_path, "admin", with_parameter(&ssd)),
    );
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422], "{} {}", one.text, other.text);
}

#[tokio::test]
async fn recurring_period_create_twice_returns_conflict() {
    let app = TestApp::start().await;
    let list = app.get("/v1/admin/recurring_period", "admin").await.expect(200);
    let periods: Vec<&Value> =
        list["items"].as_array().expect("a list").iter().map(|period| &period["recurring_period"]).collect();
    assert_eq!(periods, ["P30D", "P1D", "P1M", "P1Y"]);
    let add = async |period: &str| {
        app.post("/v1/admin/recurring_period", "admin", json!({ "recurring_period": period })).await
    };
    assert_eq!(add("P7D").await.expect(201)["recurring_period"], "P7D");
    let again = add("P7D").await;
    assert_eq!(
        (again.wrong_fields(409), &again.json()["code"]),
        (vec!["/recurring_period".to_owned()], &json!("period_exists"))
    );
    for wrong in ["7 days", "P0D", "P1001D", "P1W", "PT60M"] {
        assert_eq!(add(wrong).await.wrong_fields(422), ["/recurring_period"], "{wrong}");
    }
}

#[tokio::test]
async fn catalogue_management_by_customer_returns_forbidden() {
    let app = TestApp::start().await;
    let id = product(&app, "ssd").await["id"].clone();
    for (method, path) in [
        (Method::GET, "/v1/admin/product".to_owned()),
        (Method::POST, "/v1/admin/product".to_owned()),
        (Method::GET, format!("/v1/admin/product/{id}")),
        (Method::PUT, format!("/v1/admin/product/{id}")),
        (Method::GET, "/v1/admin/recurring_period".to_owned()),
        (Method::POST, "/v1/admin/recurring_period".to_owned()),
    ] {
        let body = (method != Method::GET).then(backup);
        app.request(method, &path, Some("alice"), body).await.expect(403);
    }
}
