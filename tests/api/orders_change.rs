//! Replacing and cancelling, also by several at once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    app::TestApp,
    shop::{agreed, shop, vm},
};

fn cores(cores: u32) -> Value {
    json!({ "parameters": { "cores": cores, "ram": 2 } })
}

async fn at(app: &TestApp, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(&app.pool).await.expect("a time")
}

/// One second before an order's stored end, as responses show it.
async fn end_of(app: &TestApp, order: i64) -> String {
    let sql = "select to_char(billing_ends_at - interval '1 s', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+00:00\"') from orders where order_id = $1";
    sqlx::query_scalar(sql).bind(order).fetch_one(&app.pool).await.expect("an end")
}

#[tokio::test]
async fn order_upgrade_by_customer_starts_now_and_ends_old_order() {
    let app = shop().await;
    app.post("/v1/order", "alice", vm(1)).await.expect(201);
    let response = app.post("/v1/order/1/replace", "alice", cores(4)).await;
    let done = response.expect(201);
    assert_eq!(response.header("location"), "/v1/order/2");
    assert_eq!(done["replacement"], "upgrade");
    let (old, new) = (&done["old"], &done["new"]);
    assert_eq!((&old["replaced_by"], &new["replaces"]), (&json!(2), &json!(1)));
    assert_eq!(new["recurring"], "13.00");
    let ended = at(
        &app,
        "select text(old.billing_ends_at = new.starts_at) from orders old join orders new on new.replaces = old.order_id",
    );
    assert_eq!(ended.await, "true");
    let void = old["status"] == "void"; // upgraded in the second in which it began
    assert!(void || old["billing_ends_at"] == end_of(&app, 1).await, "{old}");
    let again = app.post("/v1/order/1/replace", "alice", cores(8)).await;
    assert!(
        ["order_replaced", "order_ended"].contains(&again.expect(409)["code"].as_str().expect("a code")),
        "{}",
        again.text
    );
}

#[tokio::test]
async fn order_upgrade_without_credit_ends_old_order_only_at_period_end() {
    let app = shop().await;
    agreed(&app, "alice", "10.00", "15 days").await;
    let starts_at = crate::shop::past(&app, "15 days").await;
    let without_credit = json!({ "username": "alice", "product": "vm", "parameters": { "cores": 1, "ram": 2 },
        "recurring_period": "P30D", "currency": "CHF", "upgrade_credit": "none", "starts_at": starts_at });
    app.post("/v1/admin/order", "admin", without_credit).await.expect(201);
    let upgrade = json!({ "product": "vm", "parameters": { "cores": 6, "ram": 4 } });
    for order in [1, 2] {
        let path = format!("/v1/order/{order}/replace");
        assert_eq!(app.post(&path, "alice", upgrade.clone()).await.expect(201)["replacement"], "upgrade");
    }
    // 5 + 20: the old one stops where the new one starts. 10 + 20: it goes on to the end of its 30 days.
    let rows: Vec<(i64, bool, bool)> = sqlx::query_as(
        "select old.order_id, old.billing_ends_at = new.starts_at, old.billing_ends_at = old.starts_at + interval '30 days'
         from orders old join orders new on new.replaces = old.order_id order by 1",
    )
    .fetch_all(&app.pool)
    .await
    .expect("orders");
    assert_eq!(rows, [(1, true, false), (2, false, true)]);
}

#[tokio::test]
async fn order_downgrade_while_pending_is_voided_by_a_later_change() {
    let app = shop().await;
    agreed(&app, "alice", "10.00", "15 days").await;
    let down = json!({ "product": "vm", "parameters": { "cores": 1, "ram": 2 } });
    let done = app.post("/v1/order/1/replace", "alice", down.clone()).await.expect(201);
    assert_eq!((&done["replacement"], &done["new"]["status"]), (&json!("downgrade"), &json!("pending")));
    assert_eq!((&done["old"]["status"], &done["old"]["replaced_by"]), (&json!("ending"), &json!(2)));
    // To replace what is pending is to replace what it was to replace.
    let done = app.post("/v1/order/2/replace", "alice", down).await.expect(201);
    assert_eq!(
        (&done["old"]["id"], &done["new"]["id"], &done["old"]["replaced_by"]),
        (&json!(1), &json!(3), &json!(3))
    );
    assert_eq!(app.get("/v1/order/2", "alice").await.expect(200)["status"], "void");
    let dead = app.post("/v1/order/2/replace", "alice", cores(2)).await;
    assert_eq!(dead.expect(409)["code"], "order_replaced", "by the one in its place");
    let cancelled = app.post("/v1/order/1/cancel", "alice", json!({})).await.expect(200);
    assert_eq!(cancelled["billing_ends_at"], end_of(&app, 1).await);
    assert_eq!(cancelled.get("replaced_by"), None);
    assert_eq!(app.get("/v1/order/3", "alice").await.expect(200)["status"], "void");
}

#[tokio::test]
async fn order_cancel_in_each_state_ends_voids_or_is_refused() {
    let app = shop().await;
    let starts_at = crate::shop::past(&app, "10 years 3 days").await;
    let once = json!({ "username": "alice", "description": "x", "one_time": "1.00", "currency": "CHF", "starts_at": starts_at });
    app.post("/v1/admin/order", "admin", once).await.expect(201);
    for change in ["cancel", "replace"] {
        let body = if change == "cancel" { json!({}) } else { json!({ "product": "dns", "parameters": {} }) };
        let refused = app.post(&format!("/v1/order/1/{change}"), "alice", body).await;
        let code = refused.json()["code"].clone();
        assert!(refused.status == 409 && code == "order_not_recurring" || refused.status == 422, "{}", refused.text);
    }
    // Ten years back with a commitment of two periods: cancelled, it ends at the next boundary.
    let old = json!({ "username": "alice", "description": "y", "recurring": "1.00", "recurring_period": "P1M",
        "commitment_periods": 2, "currency": "CHF", "starts_at": starts_at });
    app.post("/v1/admin/order", "admin", old.clone()).await.expect(201);
    let cancelled = app.post("/v1/order/2/cancel", "alice", json!({})).await.expect(200);
    assert_eq!(cancelled["status"], "ending");
    // Ended long ago.
    app.post("/v1/admin/order", "admin", old).await.expect(201);
    sqlx::query("update orders set billing_ends_at = starts_at + interval '31 days' where order_id = 3")
        .execute(&app.pool)
        .await
        .expect("ended");
    assert_eq!(app.get("/v1/order/3", "alice").await.expect(200)["status"], "ended");
    assert_eq!(app.post("/v1/order/3/cancel", "alice", json!({})).await.expect(409)["code"], "order_ended");
    let replace = json!({ "product": "dns", "parameters": {}, "recurring_period": "P30D" });
    assert_eq!(app.post("/v1/order/3/replace", "alice", replace).await.expect(409)["code"], "order_ended");
    // In the future: it never comes to be.
    let later = json!({ "username": "alice", "description": "z", "recurring": "1.00", "recurring_period": "P1M",
        "currency": "CHF", "starts_at": "2099-01-01T00:00:00Z" });
    assert_eq!(app.post("/v1/admin/order", "admin", later).await.expect(201)["status"], "pending");
    let void = app.post("/v1/order/4/cancel", "alice", json!({})).await.expect(200);
    assert_eq!((&void["status"], void.get("billing_ends_at"), &void["closed"]), (&json!("void"), None, &json!(true)));
}

#[tokio::test]
async fn order_upgrades_at_once_apply_one_and_refuse_the_rest() {
    let app = shop().await;
    for round in 0..5 {
        let order = agreed(&app, "alice", "5.00", "15 days").await["id"].as_i64().expect("an id");
        let path = format!("/v1/order/{order}/replace");
        let body = json!({ "product": "vm", "parameters": { "cores": 4, "ram": 2 } });
        let responses = futures_util::future::join_all((0..4).map(|_| app.post(&path, "alice", body.clone()))).await;
        let won: Vec<i64> = responses
            .iter()
            .filter(|response| response.status == 201)
            .map(|response| response.json()["new"]["id"].as_i64().expect("an id"))
            .collect();
        assert_eq!(won.len(), 1, "round {round}: {responses:?}");
        for lost in responses.iter().filter(|response| response.status != 201) {
            assert_eq!(lost.expect(409)["code"], "order_replaced");
            assert!(lost.text.contains(&format!("replaced by order {}", won[0])), "{}", lost.text);
        }
    }
}

#[tokio::test]
async fn order_cancel_several_times_at_once_takes_effect_once() {
    let app = shop().await;
    agreed(&app, "alice", "10.00", "15 days").await;
    let responses =
        futures_util::future::join_all((0..6).map(|_| app.post("/v1/order/1/cancel", "alice", json!({})))).await;
    let ends: Vec<Value> = responses.iter().map(|response| response.expect(200)["billing_ends_at"].clone()).collect();
    assert!(ends.iter().all(|end| *end == ends[0] && end.is_string()), "{ends:?}");
}

#[tokio::test]
async fn order_cancel_and_upgrade_at_once_leave_consistent_order() {
    let app = shop().await;
    for _ in 0..5 {
        let order = agreed(&app, "alice", "5.00", "15 days").await["id"].as_i64().expect("an id");
        let (cancel, replace) = (format!("/v1/order/{order}/cancel"), format!("/v1/order/{order}/replace"));
        let body = json!({ "product": "vm", "parameters": { "cores": 4, "ram": 2 } });
        let (cancelled, replaced) =
            futures_util::future::join(app.post(&cancel, "alice", json!({})), app.post(&replace, "alice", body)).await;
        // Cancelled first, it can still be replaced; replaced first, there is nothing left to cancel.
        replaced.expect(201);
        if cancelled.status != 200 {
            assert_eq!(cancelled.expect(409)["code"], "order_replaced");
        }
        let sound: bool = sqlx::query_scalar(
            "select old.billing_ends_at = new.starts_at and new.billing_ends_at is null and not new.void
             from orders old join orders new on new.replaces = old.order_id where old.order_id = $1",
        )
        .bind(order)
        .fetch_one(&app.pool)
        .await
        .expect("one replacement");
        assert!(sound);
    }
}

#[tokio::test]
async fn order_replace_and_cancel_by_staff_apply_to_any_customer() {
    let app = shop().await;
    app.post("/v1/order", "alice", vm(1)).await.expect(201);
    let response = app.post("/v1/admin/order/1/replace", "admin", cores(2)).await;
    assert_eq!(response.expect(201)["new"]["ordered_by"], "admin");
    assert_eq!(response.header("location"), "/v1/admin/order/2");
    let cancelled = app.post("/v1/admin/order/2/cancel", "admin", json!({ "service_change": "now" })).await.expect(200);
    assert_eq!(cancelled["username"], "alice");
    let edit = json!({ "service_change": "at_end" });
    let edited = app.request(Method::PATCH, "/v1/admin/order/2", Some("admin"), Some(edit)).await.expect(200);
    assert!(edited["service"]["terminate_at"].as_str() > cancelled["service"]["terminate_at"].as_str());
    for path in ["/v1/admin/order/9", "/v1/order/9"] {
        app.get(path, "admin").await.expect(404);
    }
}

#[tokio::test]
async fn order_row_with_invalid_change_is_refused_by_constraint() {
    let app = shop().await;
    agreed(&app, "alice", "10.00", "15 days").await;
    for (constraint, sql) in [
        (
            "orders_not_negative",
            "insert into orders (user_id, description, currency, one_time_micros, recurring_micros, billing_mode,
            commitment_periods, time_zone, starts_at, ordered_at, deliver_at)
            values (1, 'x', 'CHF', -1, 0, 'advance', 0, 'UTC', now(), now(), now())",
        ),
        ("orders_final", "update orders set recurring_micros = 1"),
        ("orders_final", "delete from orders"),
        ("orders_end", "update orders set billing_ends_at = starts_at - interval '1 s'"),
        ("orders_delivery", "update orders set terminated_at = now()"),
    ] {
        let error = sqlx::query(sql).execute(&app.pool).await.expect_err(sql);
        let named = error.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
        assert_eq!(named, Some(constraint), "{sql}: {error}");
    }
}
