//! Creating, changing and deleting VPN pools.

use serde_json::{Value, json};

use crate::app::{HOST, TestApp, new_key};

fn handbook() -> Value {
    json!({ "network": "2a0a:e5c1:200::", "network_size": 40, "subnetwork_size": 48, "vpn_hostname": HOST })
}

fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut body = handbook();
    body[field] = value.into();
    body
}

#[tokio::test]
async fn pool_create_as_in_handbook_works_under_all_paths() {
    let app = TestApp::start().await;
    let private = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
    let body = json!({
        "network": "2a0a:e5c1:200::", "network_size": "40", "subnetwork_size": "48",
        "vpn_hostname": "VPN-2a0ae5c1200.ungleich.ch", "wireguard_private_key": private,
    });
    let response = app.post("/admin/vpnpool/", "admin", body).await;
    let pool = response.expect(201);
    assert_eq!(response.header("location"), format!("/v1/admin/vpnpool/{}", pool["id"]));
    for (member, value) in [
        ("network", json!("2a0a:e5c1:200::/40")),
        ("network_size", json!(40)),
        ("subnetwork_size", json!(48)),
        ("vpn_hostname", json!("vpn-2a0ae5c1200.ungleich.ch")),
        ("listen_port", json!(51820)),
        ("wireguard_public_key", json!("hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=")),
        ("used", json!(0)),
        ("free", json!(255)),
    ] {
        assert_eq!(pool[member], value, "{member}");
    }
    assert!(!response.text.contains(private), "the private key is never shown");
    for path in ["/v1/admin/vpnpool", "/v1/admin/vpnpool/", "/admin/vpnpool", "/admin/vpnpool/"] {
        assert_eq!(app.get(path, "admin").await.expect(200)["items"].as_array().map(Vec::len), Some(1), "{path}");
    }
    let read = app.get(&format!("/v1/admin/vpnpool/{}/", pool["id"]), "admin").await.expect(200);
    assert_eq!(read["network"], pool["network"]);
    app.get("/v1/admin/vpnpool/999", "admin").await.expect(404);
}

#[tokio::test]
async fn pool_private_key_after_create_is_stored_only_encrypted() {
    let app = TestApp::start().await;
    let private = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
    app.post("/v1/admin/vpnpool", "admin", with("wireguard_private_key", private)).await.expect(201);
    let sealed: Vec<u8> =
        sqlx::query_scalar("select private_key from vpn_pool").fetch_one(&app.pool).await.expect("a pool");
    let raw = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, private).expect("base64");
    assert!(!sealed.windows(16).any(|window| raw.windows(16).any(|part| part == window)));
    let jobs: Vec<String> = sqlx::query_scalar("select job::text from job").fetch_all(&app.pool).await.expect("jobs");
    assert!(jobs.iter().all(|job| !job.contains(private)), "no job row carries it");
}

#[tokio::test]
async fn pool_create_with_invalid_field_names_it_and_writes_nothing() {
    let app = TestApp::start().await;
    let key = |text: &str| with("wireguard_private_key", text);
    let wrong = [
        (with("network", "2a0a:e5c1:200::1"), "/network"),
        (with("network", "2a0a:e5c1:200::/41"), "/network_size"),
        (with("network", "2a0a:e5c1:200::/"), "/network"),
        (with("network", "2a0a:e5c1:200::\nPrivateKey"), "/network"),
        (with("network", "fe80::"), "/network"),
        (with("network", 5), "/network"),
        (with("network_size", "40 "), "/network_size"),
        (with("network_size", 129), "/network_size"),
        (with("network_size", -1), "/network_size"),
        (with("subnetwork_size", 40), "/subnetwork_size"),
        (with("subnetwork_size", 39), "/subnetwork_size"),
        (with("subnetwork_size", 0), "/subnetwork_size"),
        (with("vpn_hostname", "billing"), "/vpn_hostname"),
        (with("vpn_hostname", "vpn 1.example.ch"), "/vpn_hostname"),
        (with("vpn_hostname", "vpn-1.example.ch\n"), "/vpn_hostname"),
        (with("vpn_hostname", "a}.example.ch"), "/vpn_hostname"),
        (with("listen_port", 0), "/listen_port"),
        (with("listen_port", 65536), "/listen_port"),
        (key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), "/wireguard_private_key"),
        (key("short"), "/wireguard_private_key"),
    ];
    for (body, field) in wrong {
        let response = app.post("/v1/admin/vpnpool", "admin", body.clone()).await;
        assert_eq!(response.wrong_fields(422), [field], "{body}");
    }
    let mut without_size = handbook();
    without_size.as_object_mut().expect("object").remove("network_size");
    assert_eq!(app.post("/v1/admin/vpnpool", "admin", without_size).await.wrong_fields(422), ["/network_size"]);
    let rows: i64 = sqlx::query_scalar("select (select count(*) from vpn_pool) + (select count(*) from job)")
        .fetch_one(&app.pool)
        .await
        .expect("a count");
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn pool_create_with_overlap_or_taken_port_returns_conflict() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await;
    for (network, size) in [("2a0a:e5c1:200::", 40), ("2a0a:e5c1:280::", 41), ("2a0a:e5c1::", 32)] {
        let body = json!({ "network": network, "network_size": size, "subnetwork_size": 48, "vpn_hostname": "vpn-2.example.ch" });
        let response = app.post("/v1/admin/vpnpool", "admin", body).await;
        assert_eq!(response.wrong_fields(409), ["/network"]);
        assert_eq!(response.json()["code"], "overlap");
        assert!(response.text.contains(&format!("pool {}", pool["id"])), "{}", response.text);
    }
    let second = json!({ "network": "2001:db8::/40", "subnetwork_size": 48, "vpn_hostname": HOST });
    let response = app.post("/v1/admin/vpnpool", "admin", second.clone()).await;
    assert_eq!(response.wrong_fields(409), ["/listen_port"]);
    let mut other_port = second;
    other_port["listen_port"] = json!("51821");
    app.post("/v1/admin/vpnpool", "admin", other_port).await.expect(201);
}

#[tokio::test]
async fn pool_delete_while_in_use_is_refused_and_succeeds_when_empty() {
    let app = TestApp::start().await;
    app.obedient_worker();
    let pool = app.handbook_pool().await;
    let path = format!("/v1/admin/vpnpool/{}", pool["id"]);
    let network = app.network("alice", new_key()).await;
    let refused = app.delete(&path, "admin").await;
    assert_eq!(refused.expect(409)["code"], "pool_in_use");
    assert!(refused.text.contains(network["network"].as_str().expect("text")), "{}", refused.text);
    let deleting = app.delete(&format!("/v1/net/vpn/{}", network["id"]), "alice").await.expect(202);
    assert_eq!(app.finished(&deleting).await["state"], "succeeded");
    let pool = app.delete(&path, "admin").await.expect(202);
    assert_eq!(pool["deleting"], true);
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
    app.get(&path, "admin").await.expect(404);
    app.handbook_pool().await; // its prefix is free again
}
