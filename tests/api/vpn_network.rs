//! Creating, listing and deleting VPN networks.

use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};
use uncloud_wire::JobError;

use crate::app::{HOST, TestApp, new_key};

#[tokio::test]
async fn network_create_after_host_confirms_is_active() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await;
    let key = new_key();
    let pending = app.network("alice", key).await;
    assert_eq!(pending["status"], "pending");
    app.obedient_worker();
    assert_eq!(app.finished(&pending).await["state"], "succeeded");
    let path = format!("/v1/net/vpn/{}", pending["id"]);
    let network = app.get(&path, "alice").await.expect(200);
    assert_eq!(network["status"], "active");
    assert_eq!(network["network"], "2a0a:e5c1:201::/48");
    assert_eq!(network["wireguard_public_key"], key.to_string());
    assert_eq!(network["endpoint"], format!("{HOST}:51820"));
    assert_eq!(network["server_public_key"], pool["wireguard_public_key"]);
    assert_eq!(network["job"]["state"], "succeeded");
    let config = app.get(&format!("{path}/config"), "alice").await;
    assert_eq!(config.header("content-type"), "text/plain; charset=utf-8");
    for line in [
        "Address = 2a0a:e5c1:201::1/48".to_owned(),
        format!("PublicKey = {}", pool["wireguard_public_key"].as_str().expect("text")),
        format!("Endpoint = {HOST}:51820"),
        "AllowedIPs = ::/0".to_owned(),
        "PersistentKeepalive = 25".to_owned(),
    ] {
        assert!(config.text.lines().any(|there| there == line), "{line} in {}", config.text);
    }
}

#[tokio::test]
async fn network_list_by_staff_returns_networks_of_all_users() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let (of_alice, of_bob) = (app.network("alice", new_key()).await, app.network("bob", new_key()).await);
    let found = async |query: &str| {
        let list = app.get(&format!("/v1/admin/net/vpn{query}"), "admin").await.expect(200);
        list["items"].as_array().expect("a list").iter().map(|item| item["id"].clone()).collect::<Vec<_>>()
    };
    let (alice, bob) = (of_alice["id"].clone(), of_bob["id"].clone());
    assert_eq!(found("").await, [alice.clone(), bob.clone()]);
    assert_eq!(found("?username=bob").await, std::slice::from_ref(&bob));
    assert_eq!(found(&format!("?pool_id=1&vpn_hostname={HOST}&sort=id:desc")).await, [bob.clone(), alice]);
    for nobodys in ["?username=nobody", "?pool_id=2", "?vpn_hostname=vpn-9.example.ch"] {
        assert!(found(nobodys).await.is_empty(), "{nobodys}");
    }
    let read = app.get(&format!("/v1/admin/net/vpn/{bob}"), "admin").await.expect(200);
    assert_eq!((&read["username"], &read["pool_id"]), (&json!("bob"), &json!(1)));
    for (name, value) in of_bob.as_object().expect("a network").iter().filter(|(name, _)| *name != "job") {
        assert_eq!(read[name], *value, "as its owner sees it");
    }
    app.get("/v1/admin/net/vpn/99", "admin").await.expect(404);
}

#[tokio::test]
async fn network_operations_by_another_user_return_not_found() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let network = app.network("alice", new_key()).await;
    let path = format!("/v1/net/vpn/{}", network["id"]);
    for user in ["bob", "admin"] {
        app.get(&path, user).await.expect(404);
        app.get(&format!("{path}/config"), user).await.expect(404);
        app.delete(&path, user).await.expect(404);
        assert_eq!(app.get("/v1/net/vpn", user).await.expect(200)["items"], json!([]));
    }
    let job = format!("/v1/job/{}", network["job"]["id"]);
    app.get(&job, "bob").await.expect(404);
    let seen = app.get(&job, "alice").await.expect(200);
    assert!(seen.get("queue").is_none() && seen.get("result").is_none(), "{seen}");
    assert_eq!(app.get(&job, "admin").await.expect(200)["queue"], HOST);
}

#[tokio::test]
async fn network_create_with_invalid_key_or_size_is_refused() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await;
    let key = new_key().to_string();
    let ask = async |size: serde_json::Value, key: &str| {
        app.post("/v1/net/vpn", "alice", json!({ "network_size": size, "wireguard_public_key": key })).await
    };
    let server = pool["wireguard_public_key"].as_str().expect("text");
    let unpadded = key.trim_end_matches('=');
    let newline = format!("{key}\n[Peer]");
    let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for wrong in [server, unpadded, &newline, zero, "", "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo="] {
        assert_eq!(ask(json!(48), wrong).await.wrong_fields(422), ["/wireguard_public_key"], "{wrong:?}");
    }
    let not_offered = ask(json!("56"), &key).await;
    assert_eq!(not_offered.wrong_fields(422), ["/network_size"]);
    assert!(not_offered.text.contains("choose from: 48"), "{}", not_offered.text);
    ask(json!(48), &key).await.expect(201);
    let twice = ask(json!(48), &key).await;
    assert_eq!(twice.wrong_fields(409), ["/wireguard_public_key"]);
    assert_eq!(twice.json()["code"], "key_in_use");
    assert_eq!(app.get("/v1/admin/vpnpool/1", "admin").await.expect(200)["used"], 1, "refusals took no prefix");
}

#[tokio::test]
async fn network_create_two_hundred_times_concurrently_assigns_distinct_prefixes() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let app = &app;
    let requests = (0..200).map(|_| {
        let body = json!({ "network_size": "48", "wireguard_public_key": new_key().to_string() });
        async move {
            loop {
                let response = app.post("/v1/net/vpn", "admin", body.clone()).await;
                if response.status == 201 {
                    return response.json();
                }
                // Requests beyond the server's connections to PostgreSQL may have to come back, and write nothing.
                assert_eq!(response.expect(503)["code"], "unavailable");
                let seconds = response.header("retry-after").parse().expect("seconds");
                tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
        }
    });
    let networks: Vec<Value> = futures_util::future::join_all(requests).await;
    let distinct: HashSet<&str> = networks.iter().map(|network| network["network"].as_str().expect("text")).collect();
    assert_eq!(distinct.len(), 200);
    assert!(!distinct.contains("2a0a:e5c1:200::/48"), "the first is the server's");
    let pool = app.get("/v1/admin/vpnpool/1", "admin").await.expect(200);
    assert_eq!((&pool["used"], &pool["free"]), (&json!(200), &json!(55)));
}

#[tokio::test]
async fn network_create_with_full_pool_uses_next_then_is_refused() {
    let app = TestApp::start().await;
    for (index, network) in ["2001:db8:0::/47", "2001:db8:10::/47"].into_iter().enumerate() {
        let body =
            json!({ "network": network, "subnetwork_size": 48, "vpn_hostname": format!("vpn-{index}.example.ch") });
        app.post("/v1/admin/vpnpool", "admin", body).await.expect(201);
    }
    assert_eq!(app.network("alice", new_key()).await["network"], "2001:db8:1::/48");
    assert_eq!(app.network("bob", new_key()).await["network"], "2001:db8:11::/48");
    let body = json!({ "network_size": 48, "wireguard_public_key": new_key().to_string() });
    let full = app.post("/v1/net/vpn", "alice", body).await;
    assert_eq!(full.expect(409)["code"], "pool_exhausted");
}

#[tokio::test]
async fn network_prefix_after_delete_is_reused_only_when_host_confirms() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let key = new_key();
    let first = app.network("alice", key).await;
    let deleting = app.delete(&format!("/v1/net/vpn/{}", first["id"]), "alice").await.expect(202);
    assert_eq!(deleting["status"], "deleting");
    let again = app.delete(&format!("/v1/net/vpn/{}", first["id"]), "alice").await.expect(202);
    assert_eq!(again["job"], deleting["job"], "deleting twice is deleting once");
    let second = app.network("alice", key).await; // the key may come back at once, the prefix not
    assert_eq!(second["network"], "2a0a:e5c1:202::/48");
    app.obedient_worker();
    assert_eq!(app.finished(&deleting).await["state"], "succeeded");
    app.get(&format!("/v1/net/vpn/{}", first["id"]), "alice").await.expect(404);
    assert_eq!(app.network("bob", new_key()).await["network"], first["network"]);
}

#[tokio::test]
async fn network_after_failed_job_is_failed_until_later_success() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let state = std::sync::Arc::clone(&broken);
    app.worker(HOST, move |desired| {
        if state.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(JobError::Fail("port 51820 is taken by another program".into()));
        }
        Ok(json!({ "applied_generation": desired["generation"] }))
    });
    let network = app.network("alice", new_key()).await;
    assert_eq!(app.finished(&network).await["state"], "failed");
    let failed = app.get(&format!("/v1/net/vpn/{}", network["id"]), "alice").await.expect(200);
    assert_eq!(
        (&failed["status"], &failed["status_reason"]),
        (&json!("failed"), &json!("port 51820 is taken by another program"))
    );
    broken.store(false, std::sync::atomic::Ordering::SeqCst);
    let other = app.network("bob", new_key()).await;
    assert_eq!(app.finished(&other).await["state"], "succeeded");
    let healed = app.get(&format!("/v1/net/vpn/{}", network["id"]), "alice").await.expect(200);
    assert_eq!(healed["status"], "active");
}

#[tokio::test]
async fn network_list_with_limit_returns_pages() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    for _ in 0..5 {
        app.network("alice", new_key()).await;
    }
    app.network("bob", new_key()).await;
    let (mut ids, mut path) = (Vec::new(), "/v1/net/vpn?limit=2".to_owned());
    loop {
        let page = app.get(&path, "alice").await.expect(200);
        ids.extend(
            page["items"].as_array().expect("items").iter().map(|network| network["id"].as_i64().expect("an id")),
        );
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/net/vpn?limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(ids, [1, 2, 3, 4, 5]);
    for wrong in ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=-1"] {
        app.get(&format!("/v1/net/vpn?{wrong}"), "alice").await.expect(400);
    }
}

#[tokio::test]
async fn network_create_and_delete_at_once_never_deadlock() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    app.obedient_worker();
    for _ in 0..6 {
        let networks = futures_util::future::join_all((0..4).map(|_| app.network("bob", new_key()))).await;
        let deletions = networks.iter().map(async |network| {
            app.delete(&format!("/v1/net/vpn/{}", network["id"]), "bob").await.expect(202);
        });
        let requests = (0..4).map(async |_| {
            let body = json!({ "network_size": 48, "wireguard_public_key": new_key().to_string() });
            let response = app.post("/v1/net/vpn", "bob", body).await;
            assert!([201, 409].contains(&response.status.as_u16()), "{}", response.text);
            response.json()
        });
        let (_, made) = futures_util::future::join(
            futures_util::future::join_all(deletions),
            futures_util::future::join_all(requests),
        )
        .await;
        for network in made.iter().filter(|network| network["job"].is_object()) {
            let deleting = app.delete(&format!("/v1/net/vpn/{}", network["id"]), "bob").await.expect(202);
            assert_eq!(app.finished(&deleting).await["state"], "succeeded");
        }
        for network in &networks {
            let path = format!("/v1/net/vpn/{}", network["id"]);
            while app.get(&path, "bob").await.status != 404 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    }
}
