//! Manual delivery and its changes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    app::TestApp,
    shop::{agreed, shop, vm},
};

async fn needs_action(app: &TestApp) -> Vec<(i64, String)> {
    let items = app.get("/v1/admin/order?needs_action=true", "admin").await.expect(200)["items"].clone();
    let due = |order: &Value| {
        (
            order["id"].as_i64().expect("an id"),
            order["service"]["pending_action"].as_str().expect("what is due").to_owned(),
        )
    };
    items.as_array().expect("items").iter().map(due).collect()
}

async fn mark(app: &TestApp, order: i64, what: &str) -> Value {
    app.post(&format!("/v1/admin/order/{order}/{what}"), "admin", json!({})).await.expect(200)
}

async fn choose(app: &TestApp, order: i64, change: &str) -> crate::app::ApiResponse {
    let body = json!({ "service_change": change });
    app.request(Method::PATCH, &format!("/v1/order/{order}"), Some("alice"), Some(body)).await
}

/// The order and the parameters that are delivered in the line of an order.
async fn delivered(app: &TestApp, order: i64) -> Option<(i64, Value)> {
    let order = app.get(&format!("/v1/order/{order}"), "alice").await.expect(200);
    let delivered = order.get("delivered")?;
    Some((delivered["order"].as_i64().expect("an id"), delivered["parameters"].clone()))
}

#[tokio::test]
async fn order_with_manual_delivery_needs_action_until_delivered() {
    let app = shop().await;
    app.post("/v1/order", "alice", vm(2)).await.expect(201);
    let later =
        json!({ "username": "bob", "description": "later", "currency": "CHF", "starts_at": "2099-01-01T00:00:00Z" });
    app.post("/v1/admin/order", "admin", later).await.expect(201);
    assert_eq!(needs_action(&app).await, [(1, "deliver".into())], "the other one is not due");
    let early = app.post("/v1/admin/order/2/delivered", "admin", json!({})).await;
    assert_eq!(early.expect(409)["code"], "too_early");
    assert_eq!(delivered(&app, 1).await, None);
    let first = mark(&app, 1, "delivered").await;
    assert!(
        first["service"]["delivered_at"].is_string() && first["service"].get("pending_action").is_none(),
        "{first}"
    );
    assert_eq!(mark(&app, 1, "delivered").await, first, "twice is once");
    assert_eq!(delivered(&app, 1).await, Some((1, json!({ "cores": 2, "ram": 2 }))));
    assert_eq!(needs_action(&app).await, []);
    let running = app.post("/v1/admin/order/1/terminated", "admin", json!({})).await;
    assert_eq!(running.expect(409)["code"], "too_early");
}

#[tokio::test]
async fn order_upgrade_of_delivered_order_takes_effect_on_delivery() {
    let app = shop().await;
    app.post("/v1/order", "alice", vm(1)).await.expect(201);
    mark(&app, 1, "delivered").await;
    app.post("/v1/order/1/replace", "alice", json!({ "parameters": { "cores": 4, "ram": 2 } })).await.expect(201);
    assert_eq!(needs_action(&app).await, [(2, "deliver".into())]);
    for order in [1, 2] {
        assert_eq!(delivered(&app, order).await, Some((1, json!({ "cores": 1, "ram": 2 }))), "not yet");
    }
    mark(&app, 2, "delivered").await;
    for order in [1, 2] {
        assert_eq!(delivered(&app, order).await, Some((2, json!({ "cores": 4, "ram": 2 }))));
    }
    assert_eq!(needs_action(&app).await, [], "with the new one the old one is gone");
    let old = app.get("/v1/order/1", "alice").await.expect(200);
    assert!(old["service"]["terminated_at"].is_string(), "{old}");
}

#[tokio::test]
async fn order_upgrade_before_delivery_leaves_one_delivery() {
    let app = shop().await;
    agreed(&app, "alice", "1.00", "15 days").await;
    let up = json!({ "product": "vm", "parameters": { "cores": 4, "ram": 2 } });
    app.post("/v1/order/1/replace", "alice", up).await.expect(201);
    assert_eq!(needs_action(&app).await, [(2, "deliver".into())]);
    let overtaken = app.post("/v1/admin/order/1/delivered", "admin", json!({})).await;
    assert_eq!(overtaken.expect(409)["code"], "order_replaced");
}

/// An order of alice that began 15 days ago with 8 cores, delivered, and a downgrade of it to 2 cores.
async fn with_downgrade(app: &TestApp, change: &str) -> Value {
    let starts_at = crate::shop::past(app, "15 days").await;
    let body = json!({ "username": "alice", "product": "vm", "parameters": { "cores": 8, "ram": 2 }, "recurring_period": "P30D",
        "currency": "CHF", "starts_at": starts_at });
    app.post("/v1/admin/order", "admin", body).await.expect(201);
    mark(app, 1, "delivered").await;
    let down = json!({ "parameters": { "cores": 2, "ram": 2 }, "service_change": change });
    app.post("/v1/order/1/replace", "alice", down).await.expect(201)
}

#[tokio::test]
async fn order_downgrade_with_change_now_is_deliverable_at_once() {
    let app = shop().await;
    let done = with_downgrade(&app, "now").await;
    assert_eq!((&done["replacement"], &done["new"]["status"]), (&json!("downgrade"), &json!("pending")));
    assert_eq!(needs_action(&app).await, [(2, "deliver".into())], "though it is charged only later");
    assert_eq!(delivered(&app, 2).await, Some((1, json!({ "cores": 8, "ram": 2 }))));
    mark(&app, 2, "delivered").await;
    for order in [1, 2] {
        assert_eq!(delivered(&app, order).await, Some((2, json!({ "cores": 2, "ram": 2 }))), "it has shrunk");
    }
    assert_eq!(choose(&app, 2, "at_end").await.expect(409)["code"], "no_change_pending", "it has happened");
}

#[tokio::test]
async fn service_change_update_until_carried_out_is_accepted() {
    let app = shop().await;
    let done = with_downgrade(&app, "at_end").await;
    assert_eq!(needs_action(&app).await, []);
    assert_eq!(done["new"]["service"]["deliver_at"], done["new"]["starts_at"]);
    choose(&app, 2, "now").await.expect(200);
    assert_eq!(needs_action(&app).await, [(2, "deliver".into())]);
    let back = choose(&app, 2, "at_end").await.expect(200);
    assert_eq!(back["service"]["deliver_at"], done["new"]["starts_at"]);
    assert_eq!(needs_action(&app).await, []);
    let old = choose(&app, 1, "now").await;
    assert_eq!(old.expect(409)["code"], "no_change_pending");
    assert!(old.text.contains("replaced by order 2"), "{}", old.text);
    assert_eq!(choose(&app, 1, "later").await.wrong_fields(422), ["/service_change"]);
    // A cancellation takes the downgrade's place; its time can be chosen too.
    let cancelled = app.post("/v1/order/1/cancel", "alice", json!({})).await.expect(200);
    assert_eq!(needs_action(&app).await, []);
    choose(&app, 1, "now").await.expect(200);
    assert_eq!(needs_action(&app).await, [(1, "terminate".into())]);
    let back = choose(&app, 1, "at_end").await.expect(200);
    assert_eq!(back["service"]["terminate_at"], cancelled["service"]["terminate_at"]);
    choose(&app, 1, "now").await.expect(200);
    assert!(delivered(&app, 1).await.is_some(), "still there");
    mark(&app, 1, "terminated").await;
    assert_eq!(delivered(&app, 1).await, None);
    assert_eq!(needs_action(&app).await, []);
    assert_eq!(choose(&app, 1, "at_end").await.expect(409)["code"], "no_change_pending");
}

#[tokio::test]
async fn order_cancel_of_pending_downgrade_terminates_old_service() {
    let app = shop().await;
    with_downgrade(&app, "at_end").await;
    app.post("/v1/order/2/cancel", "alice", json!({ "service_change": "now" })).await.expect(200);
    assert_eq!(needs_action(&app).await, [(1, "terminate".into())], "it has an end, and nothing takes over");
    choose(&app, 1, "at_end").await.expect(200);
    assert_eq!(needs_action(&app).await, []);
    choose(&app, 1, "now").await.expect(200);
    mark(&app, 1, "terminated").await;
    assert_eq!(delivered(&app, 1).await, None);
    assert_eq!(needs_action(&app).await, []);
}

#[tokio::test]
async fn order_cancel_after_early_downgrade_delivery_terminates_it() {
    let app = shop().await;
    with_downgrade(&app, "now").await;
    mark(&app, 2, "delivered").await;
    app.post("/v1/order/1/cancel", "alice", json!({ "service_change": "now" })).await.expect(200);
    assert_eq!(app.get("/v1/order/2", "alice").await.expect(200)["status"], "void");
    assert_eq!(delivered(&app, 1).await, Some((2, json!({ "cores": 2, "ram": 2 }))), "still there");
    assert_eq!(needs_action(&app).await, [(2, "terminate".into())]);
    mark(&app, 2, "terminated").await;
    assert_eq!(delivered(&app, 1).await, None);
    assert_eq!(needs_action(&app).await, []);
}

#[tokio::test]
async fn order_upgrade_after_early_downgrade_delivery_replaces_it() {
    let app = shop().await;
    with_downgrade(&app, "now").await;
    mark(&app, 2, "delivered").await;
    let up = json!({ "parameters": { "cores": 16, "ram": 2 } });
    app.post("/v1/order/1/replace", "alice", up).await.expect(201);
    assert_eq!(needs_action(&app).await, [(3, "deliver".into())]);
    assert_eq!(delivered(&app, 3).await, Some((2, json!({ "cores": 2, "ram": 2 }))), "not yet");
    mark(&app, 3, "delivered").await;
    for order in [1, 2, 3] {
        assert_eq!(delivered(&app, order).await, Some((3, json!({ "cores": 16, "ram": 2 }))));
    }
    assert_eq!(needs_action(&app).await, []);
}

#[tokio::test]
async fn order_cancel_at_end_needs_termination_when_period_ends() {
    let app = shop().await;
    // The period ends in three seconds.
    let starts_at = crate::shop::past(&app, "29 days 23:59:57").await;
    let body = json!({ "username": "alice", "product": "vm", "parameters": { "cores": 8, "ram": 2 }, "recurring_period": "P30D",
        "currency": "CHF", "starts_at": starts_at });
    app.post("/v1/admin/order", "admin", body).await.expect(201);
    mark(&app, 1, "delivered").await;
    let cancelled = app.post("/v1/order/1/cancel", "alice", json!({})).await.expect(200);
    if cancelled["service"].get("pending_action").is_none() {
        assert_eq!(needs_action(&app).await, []);
        let early = app.post("/v1/admin/order/1/terminated", "admin", json!({})).await;
        assert_eq!(early.expect(409)["code"], "too_early");
    }
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while needs_action(&app).await.is_empty() {
        assert!(std::time::Instant::now() < end, "it is never due");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(needs_action(&app).await, [(1, "terminate".into())]);
    assert_eq!(app.get("/v1/order/1", "alice").await.expect(200)["status"], "ended");
    mark(&app, 1, "terminated").await;
    assert_eq!(needs_action(&app).await, []);
}

#[tokio::test]
async fn order_cancel_before_delivery_needs_no_action() {
    let app = shop().await;
    agreed(&app, "alice", "1.00", "15 days").await;
    app.post("/v1/order/1/cancel", "alice", json!({ "service_change": "now" })).await.expect(200);
    assert_eq!(needs_action(&app).await, []);
    let late = app.post("/v1/admin/order/1/delivered", "admin", json!({})).await;
    assert_eq!(late.expect(409)["code"], "order_ended");
}
