//! Changes of pools and networks, limits, and what is said of a host that is silent.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    app::{ApiResponse, HOST, TestApp, new_key},
    locks::until_somebody_waits,
};

const OTHER_HOST: &str = "vpn-2.example.ch";

async fn patch(app: &TestApp, path: &str, user: &str, body: Value) -> ApiResponse {
    app.request(Method::PATCH, path, Some(user), Some(body)).await
}

fn obedient(desired: &Value) -> Value {
    json!({ "applied_generation": desired["generation"] })
}

#[tokio::test]
async fn network_update_of_key_keeps_prefix() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let (first, second) = (app.network("alice", new_key()).await, app.network("bob", new_key()).await);
    let path = format!("/v1/net/vpn/{}", first["id"]);
    let key = new_key().to_string();
    let changed = patch(&app, &path, "alice", json!({ "wireguard_public_key": key })).await.expect(200);
    assert_eq!((&changed["network"], &changed["wireguard_public_key"]), (&first["network"], &json!(key)));
    assert_eq!(changed["status"], "pending");
    let body = json!({ "wireguard_public_key": second["wireguard_public_key"] });
    assert_eq!(patch(&app, &path, "alice", body).await.expect(409)["code"], "key_in_use");
    let body = json!({ "wireguard_public_key": first["server_public_key"] });
    assert_eq!(patch(&app, &path, "alice", body).await.wrong_fields(422), ["/wireguard_public_key"]);
    patch(&app, &path, "bob", json!({ "wireguard_public_key": new_key().to_string() })).await.expect(404);
    let seen = app.peers_seen_by_worker(HOST);
    assert_eq!(app.finished(&changed).await["state"], "succeeded");
    let peers = seen.lock().expect("no panic").clone();
    assert!(peers.contains(&key) && !peers.contains(first["wireguard_public_key"].as_str().expect("text")), "{peers}");
    assert_eq!(app.get(&path, "alice").await.expect(200)["status"], "active");
    app.delete(&path, "alice").await.expect(202);
    let gone = patch(&app, &path, "alice", json!({ "wireguard_public_key": new_key().to_string() })).await;
    assert!([404, 409].contains(&gone.status.as_u16()), "{}", gone.text);
}

#[tokio::test]
async fn pool_key_after_rotation_is_published_when_host_confirms() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await;
    let network = app.network("alice", new_key()).await;
    let path = format!("/v1/admin/vpnpool/{}", pool["id"]);
    let rotating = app.post(&format!("{path}/key"), "admin", json!({})).await.expect(202);
    let next = &rotating["next_wireguard_public_key"];
    assert_eq!(rotating["wireguard_public_key"], pool["wireguard_public_key"], "still in force");
    assert!(next.is_string() && next != &pool["wireguard_public_key"]);
    let mine = app.get(&format!("/v1/net/vpn/{}", network["id"]), "alice").await.expect(200);
    assert_eq!(mine["server_public_key"], pool["wireguard_public_key"]);
    app.obedient_worker();
    assert_eq!(app.finished(&rotating).await["state"], "succeeded");
    let rotated = app.get(&path, "admin").await.expect(200);
    assert_eq!(&rotated["wireguard_public_key"], next);
    assert!(rotated.get("next_wireguard_public_key").is_none(), "{rotated}");
    let mine = app.get(&format!("/v1/net/vpn/{}", network["id"]), "alice").await.expect(200);
    assert_eq!(&mine["server_public_key"], next);
    let config = app.get(&format!("/v1/net/vpn/{}/config", network["id"]), "alice").await;
    assert!(config.text.contains(next.as_str().expect("text")), "{}", config.text);
}

#[tokio::test]
async fn pool_update_of_listen_port_changes_endpoint_of_networks() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await;
    let taken =
        json!({ "network": "2001:db8::/40", "subnetwork_size": 48, "vpn_hostname": HOST, "listen_port": 51821 });
    app.post("/v1/admin/vpnpool", "admin", taken).await.expect(201);
    let network = app.network("alice", new_key()).await;
    let path = format!("/v1/admin/vpnpool/{}", pool["id"]);
    let conflict = patch(&app, &path, "admin", json!({ "listen_port": 51821 })).await;
    assert_eq!(conflict.wrong_fields(409), ["/listen_port"]);
    app.obedient_worker();
    assert_eq!(app.finished(&network).await["state"], "succeeded");
    let moved = patch(&app, &path, "admin", json!({ "listen_port": "51900" })).await.expect(200);
    assert_eq!(moved["listen_port"], 51900);
    assert_eq!(app.finished(&moved).await["state"], "succeeded");
    let mine = app.get(&format!("/v1/net/vpn/{}", network["id"]), "alice").await.expect(200);
    assert_eq!((&mine["status"], &mine["endpoint"]), (&json!("active"), &json!(format!("{HOST}:51900"))));
    let same = patch(&app, &path, "admin", json!({ "listen_port": 51900 })).await.expect(200);
    assert_eq!(same["job"], app.get(&path, "admin").await.expect(200)["job"], "no change, no job");
    assert_eq!(patch(&app, &path, "admin", json!({ "network": "::/0" })).await.wrong_fields(422), ["/network"]);
}

#[tokio::test]
async fn pool_move_from_silent_host_succeeds_and_cleans_up_later() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await;
    let network = app.network("alice", new_key()).await;
    // The old host has a job under way that it will never finish before the move.
    let path = format!("/v1/admin/vpnpool/{}", pool["id"]);
    let moved = patch(&app, &path, "admin", json!({ "vpn_hostname": OTHER_HOST })).await.expect(200);
    app.worker(OTHER_HOST, |desired| Ok(obedient(&desired)));
    assert_eq!(app.finished(&moved).await["state"], "succeeded");
    let mine = app.get(&format!("/v1/net/vpn/{}", network["id"]), "alice").await.expect(200);
    assert_eq!((&mine["status"], &mine["endpoint"]), (&json!("active"), &json!(format!("{OTHER_HOST}:51820"))));
    // The old one comes back: first its stale job, whose report changes nothing, then the removal.
    let last = Arc::new(AtomicI64::new(0));
    let absent = Arc::clone(&last);
    app.worker(HOST, move |desired| {
        if desired["state"] == "absent" {
            absent.store(desired["generation"].as_i64().expect("a number"), Ordering::SeqCst);
        }
        Ok(obedient(&desired))
    });
    for _ in 0..500 {
        let departures: i64 =
            sqlx::query_scalar("select count(*) from vpn_pool_departure").fetch_one(&app.pool).await.expect("a count");
        if departures == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let generation: i64 =
        sqlx::query_scalar("select generation from vpn_pool").fetch_one(&app.pool).await.expect("a pool");
    assert_eq!(last.load(Ordering::SeqCst), generation, "the old host was told to remove the interface");
    let mine = app.get(&format!("/v1/net/vpn/{}", network["id"]), "alice").await.expect(200);
    assert_eq!(mine["status"], "active");
}

#[tokio::test]
async fn network_create_over_quota_is_refused_until_staff_raise_it() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let ask = async || {
        let body = json!({ "network_size": 48, "wireguard_public_key": new_key().to_string() });
        app.post("/v1/net/vpn", "alice", body).await
    };
    // At once, so that the limit holds for requests that do not see each other.
    let responses = futures_util::future::join_all((0..12).map(|_| ask())).await;
    let made = responses.iter().filter(|response| response.status == 201).count();
    assert_eq!(made, 8);
    let refused = ask().await;
    assert_eq!(refused.expect(409)["code"], "quota_exceeded");
    assert!(refused.text.contains("8 of 8"), "{}", refused.text);
    let users = app.get("/v1/admin/user", "admin").await.expect(200);
    let alice =
        users["items"].as_array().expect("users").iter().find(|user| user["username"] == "alice").expect("alice");
    let path = format!("/v1/admin/user/{}", alice["id"]);
    assert_eq!(patch(&app, &path, "admin", json!({ "vpn_quota": "9" })).await.expect(200)["vpn_quota"], 9);
    ask().await.expect(201);
    ask().await.expect(409);
    patch(&app, &path, "alice", json!({ "vpn_quota": 100 })).await.expect(403);
    assert_eq!(patch(&app, &path, "admin", json!({ "vpn_quota": -1 })).await.wrong_fields(422), ["/vpn_quota"]);
    patch(&app, "/v1/admin/user/999", "admin", json!({ "vpn_quota": 1 })).await.expect(404);
    for _ in 0..9 {
        app.network("admin", new_key()).await; // staff have no limit
    }
}

#[tokio::test]
async fn pool_with_ipv4_prefix_serves_networks() {
    let app = TestApp::start().await;
    let body = json!({ "network": "10.7.0.0", "network_size": 16, "subnetwork_size": 24, "vpn_hostname": HOST });
    let pool = app.post("/v1/admin/vpnpool", "admin", body).await.expect(201);
    assert_eq!((&pool["network"], &pool["free"]), (&json!("10.7.0.0/16"), &json!(255)));
    let body = json!({ "network_size": "24", "wireguard_public_key": new_key().to_string() });
    let network = app.post("/v1/net/vpn", "alice", body).await.expect(201);
    assert_eq!(network["network"], "10.7.1.0/24");
    let config = app.get(&format!("/v1/net/vpn/{}/config", network["id"]), "alice").await.text;
    assert!(config.contains("Address = 10.7.1.1/24\n") && config.contains("AllowedIPs = 0.0.0.0/0\n"), "{config}");
}

#[tokio::test]
async fn pool_status_without_worker_names_the_host() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await;
    let network = app.network("alice", new_key()).await;
    let path = format!("/v1/net/vpn/{}", network["id"]);
    let pool_path = format!("/v1/admin/vpnpool/{}", pool["id"]);
    // As if ten seconds had passed.
    let dispatched = "update job set dispatched_at = dispatched_at - interval '11 seconds' where state = 'dispatched'";
    while sqlx::query(dispatched).execute(&app.pool).await.expect("updated").rows_affected() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let reason = app.get(&pool_path, "admin").await.expect(200)["status_reason"].clone();
    assert_eq!(reason, format!("no worker has been seen on queue {HOST}; start `uncloud-worker --queue {HOST}`"));
    sqlx::query(
        "insert into worker (queue, instance, name, version, concurrency, active, kinds, started_at, succeeded, failed,
             leases_lost, rss_bytes, last_seen_at)
         values ($1, 'x', 'worker1', '1', 1, '[]', '{}', now(), 0, 0, 0, 0, '2026-11-22T10:00:00Z')",
    )
    .bind(HOST)
    .execute(&app.pool)
    .await
    .expect("row");
    let reason = app.get(&pool_path, "admin").await.expect(200)["status_reason"].clone();
    assert!(reason.as_str().is_some_and(|text| text.contains("since 2026-11-22T10:00:00Z")), "{reason}");
    app.obedient_worker();
    assert_eq!(app.finished(&network).await["state"], "succeeded");
    assert!(app.get(&path, "alice").await.expect(200).get("status_reason").is_none());
    assert!(app.get(&pool_path, "admin").await.expect(200).get("status_reason").is_none());
}

#[tokio::test]
async fn network_status_after_host_report_returns_its_figures() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let key = new_key().to_string();
    let body = json!({ "network_size": 48, "wireguard_public_key": key });
    let network = app.post("/v1/net/vpn", "alice", body).await.expect(201);
    let asked = Arc::new(AtomicI64::new(0));
    let (count, peer) = (Arc::clone(&asked), key.clone());
    app.worker(HOST, move |payload| {
        if payload.get("state").is_some() {
            return Ok(obedient(&payload));
        }
        count.fetch_add(1, Ordering::SeqCst);
        let counted = json!({ "public_key": peer, "last_handshake_at": "2026-11-22T10:00:00Z", "received_bytes": 692, "sent_bytes": 524 });
        Ok(json!({ "peers": [counted] }))
    });
    assert_eq!(app.finished(&network).await["state"], "succeeded");
    let path = format!("/v1/net/vpn/{}/status", network["id"]);
    let status = app.get(&path, "alice").await.expect(200);
    assert_eq!((&status["received_bytes"], &status["sent_bytes"]), (&json!(692), &json!(524)), "{status}");
    assert!(
        status["latest_handshake_at"].as_str().is_some_and(|text| text.starts_with("2026-11-22T10:00:00")),
        "{status}"
    );
    app.get(&path, "alice").await.expect(200);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "fresh figures are not asked for again");
    app.get(&path, "bob").await.expect(404);
    // Old figures are never shown.
    sqlx::query("update vpn_pool set traffic_at = now() - interval '61 seconds'")
        .execute(&app.pool)
        .await
        .expect("updated");
    app.get(&path, "alice").await.expect(200);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn network_create_waiting_for_pool_does_not_lock_its_customer() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    // A cancellation halfway: it has the pool, and will name the customer as its job's requester.
    let mut cancellation = app.pool.begin().await.expect("transaction");
    sqlx::query("select from vpn_pool for update").execute(&mut *cancellation).await.expect("locked");
    let finish = async {
        until_somebody_waits(&app.pool).await;
        sqlx::query("set local lock_timeout = '500ms'").execute(&mut *cancellation).await.expect("set");
        // What a foreign key does. If it had to wait for the order, both would wait until Postgres ends one of them.
        let named = sqlx::query("select from users where username = 'alice' for key share");
        named.execute(&mut *cancellation).await.expect("the order leaves the customer alone");
        cancellation.commit().await.expect("committed");
    };
    tokio::join!(app.network("alice", new_key()), finish);
}
