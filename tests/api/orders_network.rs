//! A VPN network and its order are one story.

use chrono::{TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use uncloud::orders;
use uncloud_wire::JobError;

use crate::app::{HOST, TestApp, new_key};

fn vpn(key: &str) -> Value {
    json!({ "product": "vpn-network", "parameters": { "network_size": "48", "wireguard_public_key": key },
        "recurring_period": "P30D", "currency": "CHF" })
}

async fn start() -> TestApp {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    app
}

/// The network's status, or none when it is gone.
async fn status(app: &TestApp, network: i64) -> Option<String> {
    let response = app.get(&format!("/v1/net/vpn/{network}"), "alice").await;
    (response.status == 200).then(|| response.json()["status"].as_str().expect("a status").to_owned())
}

/// Does the job of the queue `billing`, as of a time.
async fn carry_out(app: &TestApp, order: i64, days: i64) -> Option<chrono::DateTime<Utc>> {
    let now: chrono::DateTime<Utc> =
        sqlx::query_scalar("select date_trunc('second', now())").fetch_one(&app.pool).await.expect("a time");
    let mut tx = app.pool.begin().await.expect("a transaction");
    let next = orders::carry_out(&mut tx, uncloud::dispatch::services, now + TimeDelta::days(days), order)
        .await
        .expect("carried out");
    tx.commit().await.expect("committed");
    next
}

#[tokio::test]
async fn network_create_by_customer_places_its_order() {
    let app = start().await;
    let key = new_key();
    let network = app.network("alice", key).await;
    let order = app.get(&format!("/v1/order/{}", network["order"]), "alice").await.expect(200);
    assert_eq!((&order["product"], &order["recurring"]), (&json!("vpn-network"), &json!("0.00")));
    assert_eq!(order["parameters"], json!({ "network_size": 48, "wireguard_public_key": key.to_string() }));
    assert_eq!(
        (&order["service"]["delivery"], &order["service"]["vpn_network"]),
        (&json!("vpn_network"), &network["id"])
    );
    assert_eq!(order["delivered"]["order"], order["id"]);
    assert_eq!(
        app.get("/v1/admin/order?needs_action=true", "admin").await.expect(200)["items"],
        json!([]),
        "not by hand"
    );
    for mark in ["delivered", "terminated"] {
        let manual = app.post(&format!("/v1/admin/order/1/{mark}"), "admin", json!({})).await;
        assert_eq!(manual.expect(409)["code"], "not_manual");
    }
}

#[tokio::test]
async fn order_create_of_vpn_product_creates_network() {
    let app = start().await;
    let key = new_key().to_string();
    let order = app.post("/v1/order", "alice", vpn(&key)).await.expect(201);
    let network = app.get(&format!("/v1/net/vpn/{}", order["service"]["vpn_network"]), "alice").await.expect(200);
    assert_eq!((&network["order"], &network["wireguard_public_key"]), (&order["id"], &json!(key)));
    app.obedient_worker();
    assert_eq!(app.finished(&network).await["state"], "succeeded");
    assert_eq!(app.post("/v1/order", "alice", vpn(&key)).await.expect(409)["code"], "key_in_use");
    let wrong = json!({ "product": "vpn-network", "parameters": { "network_size": 200, "wireguard_public_key": "x", "y": 1 },
        "recurring_period": "P30D", "currency": "CHF" });
    let fields = app.post("/v1/order", "alice", wrong).await.wrong_fields(422);
    assert_eq!(fields, ["/parameters/network_size", "/parameters/wireguard_public_key"]);
    let other = new_key().to_string();
    let mut not_offered = vpn(&other);
    not_offered["parameters"]["network_size"] = json!(56);
    app.post("/v1/order", "alice", not_offered).await.expect(422);
    assert_eq!(app.get("/v1/order", "alice").await.expect(200)["items"].as_array().expect("items").len(), 1);
    let replace = json!({ "parameters": { "network_size": 48, "wireguard_public_key": other } });
    let stays = app.post("/v1/order/1/replace", "alice", replace).await;
    assert_eq!(stays.expect(409)["code"], "network_not_replaceable");
}

#[tokio::test]
async fn network_create_over_quota_places_no_order() {
    let app = start().await;
    sqlx::query("update users set vpn_quota = 1 where username = 'alice'").execute(&app.pool).await.expect("a quota");
    app.network("alice", new_key()).await;
    let refused = app.post("/v1/order", "alice", vpn(&new_key().to_string())).await;
    assert_eq!(refused.expect(409)["code"], "quota_exceeded");
    let body = json!({ "network_size": 48, "wireguard_public_key": new_key().to_string() });
    assert_eq!(app.post("/v1/net/vpn", "alice", body).await.expect(409)["code"], "quota_exceeded");
    let orders: i64 = sqlx::query_scalar("select count(*) from orders").fetch_one(&app.pool).await.expect("a count");
    assert_eq!(orders, 1);
}

#[tokio::test]
async fn order_cancel_now_deletes_network_and_network_delete_cancels_order() {
    let app = start().await;
    app.obedient_worker();
    let (first, second) = (app.network("alice", new_key()).await, app.network("alice", new_key()).await);
    let now = json!({ "service_change": "now" });
    let cancelled = app.post("/v1/order/1/cancel", "alice", now.clone()).await.expect(200);
    assert!(cancelled["service"]["terminated_at"].is_string(), "{cancelled}");
    assert!(cancelled.get("delivered").is_none(), "{cancelled}");
    let back = json!({ "service_change": "at_end" });
    let undone = app.request(Method::PATCH, "/v1/order/1", Some("alice"), Some(back)).await;
    assert_eq!(undone.expect(409)["code"], "no_change_pending");
    let deleting = app.delete(&format!("/v1/net/vpn/{}", second["id"]), "alice").await;
    assert!([202, 404].contains(&deleting.status.as_u16()), "{}", deleting.text);
    let order = app.get("/v1/order/2", "alice").await.expect(200);
    assert!(["ending", "ended", "void"].contains(&order["status"].as_str().expect("a status")), "{order}");
    for network in [&first, &second] {
        let id = network["id"].as_i64().expect("an id");
        while status(&app, id).await.is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    assert_eq!(app.get("/v1/admin/vpnpool/1", "admin").await.expect(200)["used"], 0);
}

#[tokio::test]
async fn order_cancel_at_end_keeps_network_until_job_is_due() {
    let app = start().await;
    sqlx::query("update product_price set commitment_periods = 1 where period_id is not null")
        .execute(&app.pool)
        .await
        .expect("a commitment");
    let network = app.network("alice", new_key()).await;
    let (id, order) = (network["id"].as_i64().expect("an id"), network["order"].as_i64().expect("an id"));
    let cancelled = app.post(&format!("/v1/order/{order}/cancel"), "alice", json!({})).await.expect(200);
    assert_eq!((&cancelled["status"], status(&app, id).await.as_deref()), (&json!("ending"), Some("pending")));
    let job: (String, String, bool) = sqlx::query_as(
        "select queue, state, run_at = terminate_at from job, orders where kind = 'order_service' and order_id = $1",
    )
    .bind(order)
    .fetch_one(&app.pool)
    .await
    .expect("one job");
    assert_eq!(job, ("billing".into(), "queued".into(), true));
    assert!(carry_out(&app, order, 29).await.is_some(), "not yet");
    assert_eq!(status(&app, id).await.as_deref(), Some("pending"));
    assert_eq!(carry_out(&app, order, 31).await, None);
    assert_eq!(status(&app, id).await.as_deref(), Some("deleting"));
    let generation = "select generation from vpn_pool";
    let before: i64 = sqlx::query_scalar(generation).fetch_one(&app.pool).await.expect("a generation");
    assert_eq!(carry_out(&app, order, 31).await, None, "twice is once");
    let after: i64 = sqlx::query_scalar(generation).fetch_one(&app.pool).await.expect("a generation");
    assert_eq!(before, after);
}

#[tokio::test]
async fn order_service_job_run_early_is_snoozed_and_run_twice_acts_once() {
    let app = start().await;
    sqlx::query("update product_price set commitment_periods = 1 where period_id is not null")
        .execute(&app.pool)
        .await
        .expect("a commitment");
    let id = app.network("alice", new_key()).await["id"].as_i64().expect("an id");
    app.post("/v1/order/1/cancel", "alice", json!({})).await.expect(200);
    let early = orders::carry_out_due(&app.pool, uncloud::dispatch::services, 1).await.expect_err("not due");
    let days = 24 * 60 * 60;
    assert!(
        matches!(&early, JobError::Snooze { after, .. } if (29 * days..=30 * days).contains(&after.as_secs())),
        "{early:?}"
    );
    assert_eq!(status(&app, id).await.as_deref(), Some("pending"));
    sqlx::query("update orders set terminate_at = now() - interval '1 s'").execute(&app.pool).await.expect("due");
    for _ in 0..2 {
        orders::carry_out_due(&app.pool, uncloud::dispatch::services, 1).await.expect("carried out");
        assert_eq!(status(&app, id).await.as_deref(), Some("deleting"));
    }
}

#[tokio::test]
async fn network_delete_after_order_cancel_leaves_no_pending_work() {
    let app = start().await;
    sqlx::query("update product_price set commitment_periods = 1 where period_id is not null")
        .execute(&app.pool)
        .await
        .expect("a commitment");
    let network = app.network("alice", new_key()).await;
    app.post("/v1/order/1/cancel", "alice", json!({})).await.expect(200);
    app.delete(&format!("/v1/net/vpn/{}", network["id"]), "alice").await.expect(202);
    assert_eq!(carry_out(&app, 1, 31).await, None);
    app.worker("billing", |_| Err(JobError::Fail("nothing is due".into())));
    app.worker(HOST, |desired| Ok(json!({ "applied_generation": desired["generation"] })));
    let deleting = app.delete(&format!("/v1/net/vpn/{}", network["id"]), "alice").await;
    assert!([202, 404].contains(&deleting.status.as_u16()), "{}", deleting.text);
}

#[tokio::test]
async fn network_create_without_vpn_product_on_sale_names_the_remedy() {
    let app = start().await;
    sqlx::query("update product set sale_from = '2020-01-01', sale_until = '2021-01-01'")
        .execute(&app.pool)
        .await
        .expect("off sale");
    let body = json!({ "network_size": 48, "wireguard_public_key": new_key().to_string() });
    let refused = app.post("/v1/net/vpn", "alice", body).await;
    assert_eq!(refused.expect(409)["code"], "no_vpn_product");
    assert!(refused.text.contains("uncloud db-add-defaults"), "{}", refused.text);
}

#[tokio::test]
async fn network_create_with_price_requires_billing_address() {
    let app = start().await;
    sqlx::query("update product_price set recurring_micros = 5000000 where period_id is not null")
        .execute(&app.pool)
        .await
        .expect("a price");
    let body = json!({ "network_size": 48, "wireguard_public_key": new_key().to_string() });
    assert_eq!(app.post("/v1/net/vpn", "alice", body.clone()).await.expect(409)["code"], "no_billing_address");
    sqlx::query(
        "insert into billing_address (user_id, name, street, postal_code, city, country)
         select user_id, username, 'Seeweg 1', '8750', 'Glarus', 'CH' from users where username = 'alice'",
    )
    .execute(&app.pool)
    .await
    .expect("an address");
    let network = app.post("/v1/net/vpn", "alice", body).await.expect(201);
    let order = app.get(&format!("/v1/order/{}", network["order"]), "alice").await.expect(200);
    assert_eq!((&order["recurring"], &order["closed"]), (&json!("5.00"), &json!(false)));
}

#[tokio::test]
async fn order_create_of_network_by_staff_with_later_start_is_refused() {
    let app = start().await;
    let mut body = vpn(&new_key().to_string());
    body["username"] = json!("alice");
    let mut later = body.clone();
    later["starts_at"] = json!("2099-01-01T00:00:00Z");
    assert_eq!(app.post("/v1/admin/order", "admin", later).await.wrong_fields(422), ["/starts_at"]);
    let order = app.post("/v1/admin/order", "admin", body).await.expect(201);
    let network = app.get(&format!("/v1/net/vpn/{}", order["service"]["vpn_network"]), "alice").await.expect(200);
    app.get(&format!("/v1/job/{}", network["job"]["id"]), "alice").await.expect(200);
}
