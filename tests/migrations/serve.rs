//! The server and its jobs on a database that came over the bridge.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use uncloud::accounts;
use uncloud_testkit::{
    fixtures::{PASSWORD, new_key},
    in_process::{Server, serve_settings},
    servers::RedisServer,
};
use uncloud_wire::{Secret, stream::StreamConfig};

use crate::database::{Database, succeeded};

/// The host of a new pool: the key of the pool in rows.sql is made up and cannot be unsealed.
const HOST: &str = "vpn-2.example.ch";

/// A server on a migrated database, with a worker for [`HOST`].
struct Provider {
    server: Server,
    client: Client,
    _redis: RedisServer,
}

impl Provider {
    async fn start(database: &Database) -> Self {
        succeeded(&database.uncloud(&["migrate"]).output().expect("uncloud"));
        let name = "carol".parse().expect("a name");
        accounts::bootstrap(&database.pool, &name, false, Some(&PASSWORD.to_owned().into())).await.expect("a user");
        database
            .execute(
                "update users set password_hash = (select password_hash from users where username = 'carol')
                 where username in ('admin', 'alice')",
            )
            .await;
        // The bridge compares bytes only; what is read from here on has to be keys.
        let key = new_key();
        database
            .execute(&format!(
                "update vpn_network set public_key = decode('{key}', 'base64');
                 update vpn_pool set public_key = decode('{key}', 'base64'), next_public_key = decode('{key}', 'base64')"
            ))
            .await;
        let redis = RedisServer::start();
        let server = Server::start(serve_settings(Secret::new(database.url.clone()), redis.url())).await;
        let config = StreamConfig::new(redis.client(), HOST.parse().expect("a queue"), "test".into(), 1);
        server.start_worker(config, |desired| Ok(json!({ "applied_generation": desired["generation"] })));
        Self { server, client: Client::new(), _redis: redis }
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
    assert_eq!(jobs["items"].as_array().map(Vec::len), Some(6), "{jobs}");
    for path in ["user", "vpnpool", "bill_run", "queue", "schedule", "audit", "user/2/bill_item"] {
        let list = provider.get("admin", &format!("/v1/admin/{path}")).await;
        assert!(list.as_array().or(list["items"].as_array()).is_some_and(|items| !items.is_empty()), "{path}: {list}");
    }
}

#[tokio::test]
async fn serve_on_a_bridged_database_delivers_new_networks() {
    let database = Database::old("delivered").await;
    let provider = Provider::start(&database).await;
    let pool =
        json!({ "network": "2a0a:e5c1:200::", "network_size": "40", "subnetwork_size": "56", "vpn_hostname": HOST });
    provider.request("admin", Method::POST, "/v1/admin/vpnpool", Some(pool)).await;
    let network = json!({ "network_size": "56", "wireguard_public_key": new_key().to_string() });
    let network = provider.request("alice", Method::POST, "/v1/net/vpn", Some(network)).await;
    let job = provider.get("alice", &format!("/v1/job/{}?wait=30", network["job"]["id"])).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    provider.request("alice", Method::DELETE, &format!("/v1/net/vpn/{}", network["id"]), None).await;
}
