//! Quotes and orders: what can be bought, and why something can't.

use serde_json::json;

use crate::{
    app::TestApp,
    books::{ALICE, address, sql, without_defaults},
    shop::{past, shop, simple, vm},
};

async fn orders_of(app: &TestApp, user: &str) -> usize {
    app.get("/v1/order", user).await.expect(200)["items"].as_array().expect("items").len()
}

#[tokio::test]
async fn order_quote_of_bundle_lists_all_parts_and_writes_nothing() {
    let app = shop().await;
    let bundle = json!({ "product": "dualstack-vm", "parameters": { "cores": "2", "ram": 4, "size": 20 },
        "recurring_period": "P30D", "currency": "CHF" });
    let quote = app.post("/v1/order/quote", "alice", bundle.clone()).await.expect(200);
    let part = |product: &str, parameter: Option<&str>, quantity: u32, one_time: &str, recurring: &str| {
        let mut part = json!({ "product": product, "quantity": quantity, "new_quantity": quantity, "one_time": one_time, "recurring": recurring });
        if let Some(parameter) = parameter {
            part["parameter"] = parameter.into();
        }
        part
    };
    let expected = [
        part("dualstack-vm", None, 1, "0.00", "0.00"),
        part("vm", None, 1, "0.00", "3.00"),
        part("vm", Some("cores"), 2, "0.00", "2.00"),
        part("vm", Some("ram"), 4, "0.00", "1.00"),
        part("ipv4", None, 1, "0.00", "1.00"),
        part("disk", None, 1, "5.00", "0.00"),
        part("disk", Some("size"), 20, "0.00", "0.10"),
    ];
    assert_eq!(quote["parts"], json!(expected));
    assert_eq!((&quote["one_time"], &quote["recurring"]), (&json!("5.00"), &json!("14.00")));
    assert_eq!((&quote["orderable"], &quote["blockers"]), (&json!(true), &json!([])));
    assert_eq!(orders_of(&app, "alice").await, 0);
    let ordered = app.post("/v1/order", "alice", bundle).await;
    let order = ordered.expect(201);
    assert_eq!(ordered.header("location"), format!("/v1/order/{}", order["id"]));
    assert_eq!(order["parts"], quote["parts"], "what was shown is what was ordered");
    assert_eq!(order["description"], "Dual-stack VM (cores 2, ram 4 GB, size 20 GB)");
    assert_eq!(order["parameters"], json!({ "cores": 2, "ram": 4, "size": 20 }));
    assert_eq!((&order["status"], &order["ordered_by"]), (&json!("active"), &json!("alice")));
    assert_eq!(order["recurring_period"], "P30D");
    assert_eq!(app.get(&format!("/v1/order/{}", order["id"]), "alice").await.expect(200), order);
}

#[tokio::test]
async fn order_and_quote_with_invalid_choice_name_each_field() {
    let app = shop().await;
    let refused = async |body: serde_json::Value, fields: &[&str]| {
        for path in ["/v1/order/quote", "/v1/order"] {
            let response = app.post(path, "alice", body.clone()).await;
            assert_eq!(response.wrong_fields(422), fields, "{}", response.text);
        }
    };
    let vm_with = |parameters: serde_json::Value| json!({ "product": "vm", "parameters": parameters, "recurring_period": "P30D", "currency": "CHF" });
    refused(vm_with(json!({ "cores": 0, "ram": 2 })), &["/parameters/cores"]).await;
    refused(vm_with(json!({ "cores": 17, "ram": 3 })), &["/parameters/cores", "/parameters/ram"]).await;
    refused(vm_with(json!({ "cores": "two" })), &["/parameters/cores"]).await;
    refused(vm_with(json!({ "cores": 1.5, "ram": "a\nb" })), &["/parameters/cores", "/parameters/ram"]).await;
    refused(vm_with(json!(2)), &["/parameters"]).await;
    refused(simple("old"), &["/product"]).await;
    refused(simple("no-such-product"), &["/product"]).await;
    refused(json!({ "product": "vm", "parameters": {}, "currency": "chf" }), &["/currency"]).await;
    refused(
        json!({ "product": "dns", "parameters": {}, "recurring_period": "P1M", "currency": "CHF" }),
        &["/recurring_period"],
    )
    .await;
    refused(
        json!({ "product": "dns", "parameters": {}, "recurring_period": "P30D", "currency": "EUR" }),
        &["/currency"],
    )
    .await;
    let past = json!({ "product": "dns", "parameters": {}, "recurring_period": "P30D", "currency": "CHF",
        "starts_at": "2020-01-01T00:00:00Z" });
    refused(past, &["/starts_at"]).await; // staff only
    assert_eq!(orders_of(&app, "alice").await, 0);
}

#[tokio::test]
async fn order_create_without_billing_address_is_refused_if_not_free() {
    let app = shop().await;
    app.post("/v1/order", "bob", simple("dns")).await.expect(201);
    let quote = app.post("/v1/order/quote", "bob", vm(1)).await.expect(200);
    assert_eq!((&quote["orderable"], &quote["blockers"][0]["code"]), (&json!(false), &json!("no_billing_address")));
    assert_eq!(app.post("/v1/order", "bob", vm(1)).await.expect(409)["code"], "no_billing_address");
    let setup = json!({ "product": "installation", "parameters": {}, "currency": "CHF" });
    assert_eq!(app.post("/v1/order", "bob", setup.clone()).await.expect(409)["code"], "no_billing_address");
    let once = app.post("/v1/order", "alice", setup).await.expect(201);
    assert_eq!((&once["one_time"], once.get("recurring_period")), (&json!("50.00"), None));
    assert_eq!(orders_of(&app, "bob").await, 1);
}

#[tokio::test]
async fn order_quote_with_known_vat_matches_the_bill_and_gives_reason() {
    let app = shop().await;
    let vat = async |user: &str| app.post("/v1/order/quote", user, vm(2)).await.expect(200)["vat"].clone();
    let swiss = vat("alice").await;
    assert_eq!(
        swiss,
        json!({ "category": "S", "territory": "CH", "rate": "0.081", "reason": "standard rate of CH at the time of service, 8.1 %",
            "one_time": "0.00", "recurring": "0.73", "one_time_gross": "0.00", "recurring_gross": "9.73" })
    );
    app.post("/v1/order", "alice", vm(2)).await.expect(201);
    let bill = app.get("/v1/bill/preview", "alice").await.expect(200)["bills"][0].clone();
    assert_eq!((&bill["tax"], &bill["gross"]), (&swiss["recurring"], &swiss["recurring_gross"]));
    assert_eq!((&bill["vat"][0]["rate"], &bill["vat"][0]["reason"]), (&swiss["rate"], &swiss["reason"]));
    for (country, business, category, why) in [
        ("DE", true, "AE", "a business in DE with a verified VAT number"),
        ("DE", false, "O", "outside the scope"),
        ("US", false, "O", "the customer is in US"),
    ] {
        address(&app.pool, ALICE, country, business).await;
        let vat = vat("alice").await;
        assert_eq!(
            (&vat["category"], &vat["rate"], &vat["recurring_gross"]),
            (&json!(category), &json!("0.000"), &json!("9.00"))
        );
        assert!(vat["reason"].as_str().is_some_and(|text| text.contains(why)), "{vat}");
    }
}

#[tokio::test]
async fn order_quote_with_unknown_vat_gives_reason() {
    let app = shop().await;
    let unknown = async |user: &str, word: &str| {
        let quote = app.post("/v1/order/quote", user, vm(2)).await.expect(200);
        assert!(quote["vat_unavailable_reason"].as_str().is_some_and(|text| text.contains(word)), "{word} in {quote}");
        assert!(quote.get("vat").is_none() && quote["recurring"] == "9.00", "{quote}");
    };
    unknown("bob", "PUT /v1/billing_address").await;
    sql(&app.pool, "delete from vat_rate where territory = 'CH'").await;
    unknown("alice", "CH").await;
    without_defaults(&app.pool).await;
    unknown("alice", "PUT /v1/admin/seller").await;
}

#[tokio::test]
async fn order_create_without_required_product_returns_conflict() {
    let app = shop().await;
    let alone = app.post("/v1/order", "alice", simple("ipv4")).await;
    assert_eq!(alone.expect(409)["code"], "missing_requirement");
    assert!(alone.text.contains("contains vm"), "{}", alone.text);
    let vm = app.post("/v1/order", "alice", vm(1)).await.expect(201);
    app.post("/v1/order", "alice", simple("ipv4")).await.expect(201);
    // The VM must stay as long as its address does.
    let cancel = format!("/v1/order/{}/cancel", vm["id"]);
    let needed = app.post(&cancel, "alice", json!({})).await;
    assert_eq!(needed.expect(409)["code"], "order_has_dependents");
    assert!(needed.text.contains("order 2 (IPv4 address)"), "{}", needed.text);
    assert_eq!(app.get("/v1/order/1", "alice").await.expect(200), vm, "nothing was written");
    let replace = json!({ "product": "dns", "parameters": {} });
    assert_eq!(app.post("/v1/order/1/replace", "alice", replace).await.expect(409)["code"], "order_has_dependents");
    let larger = json!({ "parameters": { "cores": 4, "ram": 2 } });
    let larger = app.post("/v1/order/1/replace", "alice", larger).await.expect(201)["new"]["id"].clone();
    let cancel = format!("/v1/order/{larger}/cancel");
    app.post("/v1/order/2/cancel", "alice", json!({})).await.expect(200);
    // The address is paid to the end of its period and would be without a VM until then.
    let at_once = app.post(&cancel, "alice", json!({ "service_change": "now" })).await;
    assert_eq!(at_once.expect(409)["code"], "order_has_dependents");
    app.post(&cancel, "alice", json!({})).await.expect(200);
    let late = app.post("/v1/order", "alice", simple("ipv4")).await;
    assert_eq!(late.expect(409)["code"], "missing_requirement", "a VM that ends is none to build on");
}

#[tokio::test]
async fn order_create_of_bundle_satisfies_requirements_of_its_parts() {
    let app = shop().await;
    let bundle = json!({ "product": "dualstack-vm", "parameters": { "cores": 1, "ram": 2, "size": 10 },
        "recurring_period": "P30D", "currency": "CHF" });
    app.post("/v1/order", "alice", bundle).await.expect(201);
    app.post("/v1/order", "alice", simple("ipv4")).await.expect(201);
    // Without the VM that the bundle contains, not even what takes its place would do.
    let replace = json!({ "product": "ipv4", "parameters": {} });
    let missing = app.post("/v1/order/1/replace", "alice", replace).await;
    assert_eq!(missing.expect(409)["code"], "missing_requirement");
}

#[tokio::test]
async fn order_operations_by_another_user_return_not_found() {
    let app = shop().await;
    app.post("/v1/order", "alice", vm(1)).await.expect(201);
    for user in ["bob", "admin"] {
        app.get("/v1/order/1", user).await.expect(404);
        app.post("/v1/order/1/cancel", user, json!({})).await.expect(404);
        app.post("/v1/order/1/replace", user, json!({ "parameters": { "cores": 2, "ram": 2 } })).await.expect(404);
        let edit = json!({ "service_change": "now" });
        app.request(reqwest::Method::PATCH, "/v1/order/1", Some(user), Some(edit)).await.expect(404);
        assert_eq!(orders_of(&app, user).await, 0);
    }
    app.get("/v1/admin/order/1", "alice").await.expect(403);
    app.post("/v1/admin/order/1/delivered", "alice", json!({})).await.expect(403);
    assert_eq!(app.get("/v1/admin/order/1", "admin").await.expect(200)["username"], "alice");
}

#[tokio::test]
async fn order_create_by_staff_with_custom_terms_is_accepted() {
    let app = shop().await;
    let starts_at = past(&app, "10 years").await;
    let body = json!({ "username": "bob", "description": "Half a rack", "one_time": "99.95", "recurring": "120.00",
        "recurring_period": "P1M", "commitment_periods": "12", "billing_mode": "arrears", "currency": "EUR",
        "upgrade_credit": "none", "starts_at": starts_at });
    let order = app.post("/v1/admin/order", "admin", body.clone()).await.expect(201);
    assert_eq!(
        (&order["starts_at"], &order["username"], &order["ordered_by"]),
        (&json!(starts_at), &json!("bob"), &json!("admin"))
    );
    assert_eq!((&order["billing_mode"], &order["upgrade_credit"]), (&json!("arrears"), &json!("none")));
    assert_eq!(
        (&order["one_time"], &order["recurring"], &order["parts"]),
        (&json!("99.95"), &json!("120.00"), &json!([]))
    );
    assert_eq!(app.get("/v1/order/1", "bob").await.expect(200)["description"], "Half a rack");
    for (field, wrong) in [
        ("recurring", json!("-1.00")),
        ("one_time", json!("-0.01")),
        ("recurring", json!("1.0050505")),
        ("commitment_periods", json!(-1)),
        ("starts_at", json!("1999-12-31T23:59:59Z")),
        ("username", json!("nobody-here")),
        ("recurring_period", json!("P1W")),
    ] {
        let mut body = body.clone();
        body[field] = wrong;
        assert_eq!(app.post("/v1/admin/order", "admin", body).await.wrong_fields(422), [format!("/{field}")]);
    }
    let mut both = body.clone();
    both["product"] = json!("vm");
    let fields = app.post("/v1/admin/order", "admin", both).await.wrong_fields(422);
    assert_eq!(fields, ["/description", "/one_time", "/recurring", "/billing_mode", "/commitment_periods"]);
    let neither = json!({ "username": "bob", "currency": "CHF" });
    assert_eq!(app.post("/v1/admin/order", "admin", neither).await.wrong_fields(422), ["/product"]);
    let once = json!({ "username": "bob", "description": "x", "recurring": "1.00", "currency": "CHF" });
    assert_eq!(app.post("/v1/admin/order", "admin", once).await.wrong_fields(422), ["/recurring"]);
}

#[tokio::test]
async fn order_list_by_staff_filters_by_customer_product_and_open() {
    let app = shop().await;
    for (user, body) in [("alice", vm(1)), ("alice", simple("dns")), ("bob", simple("dns"))] {
        app.post("/v1/order", user, body).await.expect(201);
    }
    let ids = async |query: &str| {
        let items = app.get(&format!("/v1/admin/order?{query}"), "admin").await.expect(200)["items"].clone();
        items.as_array().expect("items").iter().map(|order| order["id"].as_i64().expect("id")).collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, [1, 2, 3]);
    assert_eq!(ids("username=Alice").await, [1, 2]);
    assert_eq!(ids("product=dns").await, [2, 3]);
    assert_eq!(ids("product=dns&username=bob").await, [3]);
    assert_eq!(ids("open=true").await, [1], "what costs nothing is closed");
    assert_eq!(ids("open=false&username=bob").await, [3]);
    assert_eq!(ids("limit=1&cursor=1").await, [2]);
    for wrong in ["username=%20", "product=VM", "open=maybe"] {
        app.get(&format!("/v1/admin/order?{wrong}"), "admin").await.expect(400);
    }
}
