//! The server and its jobs on a database that came over the bridge.

use std::sync::{Arc, Mutex};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use uncloud_testkit::{
    fixtures::{PASSWORD, new_key},
    in_process::{Server, serve_settings},
    servers::RedisServer,
};
use uncloud_wire::{Secret, stream::StreamConfig};

use crate::database::{Database, succeeded};

/// The host of the pool in rows.sql.
const HOST: &str = "vpn-1.example.ch";
/// The private keys of that pool, before and after the change of its key.
const POOL_KEYS: [&str; 2] =
    ["kPDTvgGZuL33SP0gfi/jrugtubKfX8gkkcHMxOzPwEU=", "CKDZEwtrAjY6TAGaVA1tKDGC9B88z86DV6Ygf6jZbGk="];

/// A server on a migrated database.
struct Provider {
    server: Server,
    client: Client,
    redis: RedisServer,
}

impl Provider {
    async fn start(database: &Database) -> Self {
        succeeded(&database.uncloud(&["migrate"]).output().expect("uncloud"));
        let redis = RedisServer::start();
        let server = Server::start(serve_settings(Secret::new(database.url.clone()), redis.url())).await;
        Self { server, client: Client::new(), redis }
    }

    /// Resumes the queue, which was paused, and starts a worker of [`HOST`]; returns the desired states that it applies.
    async fn start_worker(&self) -> Arc<Mutex<Vec<Value>>> {
        let resumed = json!({ "paused": false });
        self.request("admin", Method::PATCH, &format!("/v1/admin/queue/{HOST}"), Some(resumed)).await;
        let applied: Arc<Mutex<Vec<Value>>> = Arc::default();
        let note = Arc::clone(&applied);
        let config = StreamConfig::new(self.redis.client(), HOST.parse().expect("a queue"), "test".into(), 1);
        self.server.start_worker(config, move |desired| {
            let report = json!({ "applied_generation": desired["generation"] });
            note.lock().expect("not poisoned").push(desired);
            Ok(report)
        });
        applied
    }

    async fn request(&self, user: &str, method: Method, path: &str, body: Option<Value>) -> Value {
        let url = format!("http://{}{path}", self.server.address);
        let request = self.client.request(method, url).basic_auth(user, Some(PASSWORD));
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let response = request.send().await.expect("a response");
        let (status, text) = (response.status(), response.text().await.expect("a body"));
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn get(&self, user: &str, path: &str) -> Value {
        self.request(user, Method::GET, path, None).await
    }
}

#[tokio::test]
async fn serve_on_a_bridged_database_shows_what_was_there() {
    let database = Database::old("shown").await;
    let provider = Provider::start(&database).await;
    let networks = provider.get("alice", "/v1/net/vpn").await;
    assert_eq!(networks["items"][0]["network"], "2001:db8:2::/48");
    let orders = provider.get("alice", "/v1/order").await;
    assert_eq!(orders["items"].as_array().map(Vec::len), Some(4), "{orders}");
    let bills = provider.get("alice", "/v1/bill").await;
    assert_eq!(bills["items"][0]["number"], "2026-000001");
    let bill = provider.get("alice", &format!("/v1/bill/{}", bills["items"][0]["id"])).await;
    assert_eq!((&bill["gross"], bill["records"].as_array().map(Vec::len)), (&"14.05".into(), Some(3)), "{bill}");
    let jobs = provider.get("admin", "/v1/admin/job").await;
    let ids: Vec<i64> = jobs["items"].as_array().into_iter().flatten().filter_map(|job| job["id"].as_i64()).collect();
    assert!((1..=6).all(|id| ids.contains(&id)), "{jobs}");
    for path in ["user", "vpnpool", "bill_run", "queue", "schedule", "audit", "user/2/bill_item"] {
        let list = provider.get("admin", &format!("/v1/admin/{path}")).await;
        assert!(list.as_array().or(list["items"].as_array()).is_some_and(|items| !items.is_empty()), "{path}: {list}");
    }
}

#[tokio::test]
async fn serve_on_a_bridged_database_provisions_old_and_new_networks() {
    let database = Database::old("provisioned").await;
    let provider = Provider::start(&database).await;
    let applied = provider.start_worker().await;
    let key = new_key().to_string();
    let changed = json!({ "wireguard_public_key": key });
    let old = provider.request("alice", Method::PATCH, "/v1/net/vpn/1", Some(changed)).await;
    let new = json!({ "network_size": "48", "wireguard_public_key": new_key().to_string() });
    let new = provider.request("alice", Method::POST, "/v1/net/vpn", Some(new)).await;
    for network in [&old, &new] {
        let job = provider.get("alice", &format!("/v1/job/{}?wait=30", network["job"]["id"])).await;
        assert_eq!(job["state"], "succeeded", "{job}");
    }
    let last = applied.lock().expect("not poisoned").last().expect("applied").clone();
    let config = &last["state"]["present"];
    assert_eq!(config["private_key"], POOL_KEYS[1], "the change of the pool's key goes on");
    let peers: Vec<&Value> = config["peers"].as_array().into_iter().flatten().map(|peer| &peer["public_key"]).collect();
    assert!(peers.len() == 2 && peers.contains(&&json!(key)), "{last}");
    provider.request("alice", Method::DELETE, &format!("/v1/net/vpn/{}", new["id"]), None).await;
}

#[tokio::test]
async fn pool_key_of_a_bridged_database_without_pending_change_is_unsealed() {
    let database = Database::old("unsealed").await;
    let provider = Provider::start(&database).await;
    let drop_change =
        "update vpn_pool set next_private_key = null, next_private_key_key_id = null, next_public_key = null,
        next_key_generation = null";
    database.execute(drop_change).await;
    let applied = provider.start_worker().await;
    let changed = json!({ "wireguard_public_key": new_key().to_string() });
    let network = provider.request("alice", Method::PATCH, "/v1/net/vpn/1", Some(changed)).await;
    provider.get("alice", &format!("/v1/job/{}?wait=30", network["job"]["id"])).await;
    let last = applied.lock().expect("not poisoned").last().expect("applied").clone();
    assert_eq!(last["state"]["present"]["private_key"], POOL_KEYS[0]);
}
