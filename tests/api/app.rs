//! A server of its own for each test: one PostgreSQL for the process, a database for each test from a template.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::OnceCell;
use uncloud::{
    accounts::{self, AccountSettings},
    cli::serve::ServeSettings,
    http::TrustedProxies,
    server::RateLimits,
};
pub use uncloud_testkit::fixtures::{HOST, PASSWORD, new_key};
use uncloud_testkit::{
    in_process::{Server, serve_settings},
    servers::{PostgresServer, RedisServer},
};
use uncloud_wire::{JobError, Secret, key::PublicKey, stream::StreamConfig};

/// The template of most tests' databases.
const TEMPLATE: &str = "template";

/// Schema, defaults and users.
pub async fn fill(database_url: &Secret<String>) {
    let pool = PgPool::connect(database_url.expose()).await.expect("database");
    uncloud::cli::defaults::add_defaults(&pool).await.expect("schema and defaults");
    for (user, staff) in [("admin", true), ("alice", false), ("bob", false)] {
        let name = user.parse().expect("a name");
        accounts::bootstrap(
            &pool,
            &name,
            staff,
            Some(&accounts::NewPassword::new(&PASSWORD.to_owned().into()).expect("long enough")),
        )
        .await
        .expect("a user");
    }
    pool.close().await;
}

/// A database with schema, defaults and users, but no server.
pub async fn database() -> PgPool {
    PgPool::connect(database_url().await.expose()).await.expect("database")
}

/// The same, as a URL.
pub async fn database_url() -> Secret<String> {
    static FILLED: OnceCell<()> = OnceCell::const_new();
    let postgres = PostgresServer::shared();
    FILLED.get_or_init(async || fill(&postgres.create_database(TEMPLATE, None).await).await).await;
    postgres.new_database(Some(TEMPLATE)).await
}

/// A running server.
pub struct TestApp {
    pub pool: PgPool,
    pub database_url: Secret<String>,
    pub redis: RedisServer,
    pub address: SocketAddr,
    pub client: reqwest::Client,
    server: Server,
}

/// A response.
#[derive(Debug)]
pub struct ApiResponse {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl ApiResponse {
    async fn to(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("a response");
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.expect("a body"),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    /// The body, after a look at the status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// The problem's fields that are wrong.
    #[track_caller]
    pub fn wrong_fields(&self, status: u16) -> Vec<String> {
        let problem = self.expect(status);
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().expect("a pointer").to_owned()).collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_on(database_url().await).await
    }

    pub async fn start_on(database_url: Secret<String>) -> Self {
        Self::start_with(database_url, |_| {}).await
    }

    /// With a directory, or another memory for passwords.
    pub async fn start_accounts(accounts: AccountSettings) -> Self {
        Self::start_changed(|settings| settings.accounts = accounts).await
    }

    /// With whatever else a server can be told.
    pub async fn start_changed(change: impl FnOnce(&mut ServeSettings)) -> Self {
        Self::start_with(database_url().await, change).await
    }

    async fn start_with(database_url: Secret<String>, change: impl FnOnce(&mut ServeSettings)) -> Self {
        let redis = RedisServer::start();
        let mut settings = serve_settings(database_url.clone(), redis.url());
        settings.proxies = TrustedProxies::new(vec!["127.0.0.1".parse().expect("a proxy")]);
        settings.rates = RateLimits::DEFAULT;
        change(&mut settings);
        let server = Server::start(settings).await;
        let pool = PgPool::connect(database_url.expose()).await.expect("database");
        Self { pool, database_url, redis, address: server.address, client: reqwest::Client::new(), server }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn request(&self, method: Method, path: &str, user: Option<&str>, body: Option<Value>) -> ApiResponse {
        self.raw(method, path, user, body.map(|body| ("application/json", body.to_string()))).await
    }

    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        user: Option<&str>,
        body: Option<(&str, String)>,
    ) -> ApiResponse {
        let mut request = self.client.request(method, self.url(path));
        if let Some(user) = user {
            request = request.basic_auth(user, Some(PASSWORD));
        }
        if let Some((content_type, body)) = body {
            request = request.header("content-type", content_type).body(body);
        }
        ApiResponse::to(request).await
    }

    /// With a token, or whatever else that header may hold.
    pub async fn authorized(
        &self,
        method: Method,
        path: &str,
        authorization: &str,
        body: Option<Value>,
    ) -> ApiResponse {
        self.with_header(method, path, None, ("authorization", authorization), body).await
    }

    /// With one more header.
    pub async fn with_header(
        &self,
        method: Method,
        path: &str,
        user: Option<&str>,
        (name, value): (&str, &str),
        body: Option<Value>,
    ) -> ApiResponse {
        let mut request = self.client.request(method, self.url(path)).header(name, value);
        if let Some(user) = user {
            request = request.basic_auth(user, Some(PASSWORD));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        ApiResponse::to(request).await
    }

    pub async fn redis_connection(&self) -> redis::aio::MultiplexedConnection {
        // Longer than tests let Redis be frozen.
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
        self.redis.client().get_multiplexed_async_connection_with_config(&config).await.expect("Redis")
    }

    /// An operation for everybody signed in, with any password, from any address.
    pub async fn login(&self, user: &str, password: &str, from: &str) -> ApiResponse {
        let request = self.client.get(self.url("/v1/net/vpn")).basic_auth(user, Some(password));
        ApiResponse::to(request.header("x-forwarded-for", from)).await
    }

    pub async fn get(&self, path: &str, user: &str) -> ApiResponse {
        self.request(Method::GET, path, Some(user), None).await
    }

    pub async fn post(&self, path: &str, user: &str, body: Value) -> ApiResponse {
        self.request(Method::POST, path, Some(user), Some(body)).await
    }

    pub async fn put(&self, path: &str, user: &str, body: Value) -> ApiResponse {
        self.request(Method::PUT, path, Some(user), Some(body)).await
    }

    pub async fn delete(&self, path: &str, user: &str) -> ApiResponse {
        self.request(Method::DELETE, path, Some(user), None).await
    }

    /// The handbook's pool, on [`HOST`].
    pub async fn handbook_pool(&self) -> Value {
        let body = json!({
            "network": "2a0a:e5c1:200::", "network_size": "40", "subnetwork_size": "48", "vpn_hostname": HOST,
        });
        self.post("/v1/admin/vpnpool/", "admin", body).await.expect(201)
    }

    pub async fn network(&self, user: &str, key: PublicKey) -> Value {
        let body = json!({ "network_size": "48", "wireguard_public_key": key.to_string() });
        self.post("/v1/net/vpn/", user, body).await.expect(201)
    }

    /// Waits for a job's end.
    pub async fn finished(&self, resource: &Value) -> Value {
        let id = resource["job"]["id"].as_i64().expect("a job");
        self.get(&format!("/v1/job/{id}?wait=30"), "admin").await.expect(200)
    }

    /// A worker that returns what `work` makes of each payload.
    pub fn worker<F>(&self, queue: &str, work: F)
    where
        F: Fn(Value) -> Result<Value, JobError> + Clone + Send + Sync + 'static,
    {
        let config = StreamConfig::new(self.redis.client(), queue.parse().expect("a queue"), "test".into(), 4);
        self.server.start_worker(config, work);
    }

    /// An obedient worker; the result holds the last desired state that it was given.
    pub fn peers_seen_by_worker(&self, queue: &str) -> Arc<Mutex<String>> {
        let seen = Arc::new(Mutex::new(String::new()));
        let last = Arc::clone(&seen);
        self.worker(queue, move |desired| {
            *last.lock().expect("no panic") = desired.to_string();
            Ok(json!({ "applied_generation": desired["generation"] }))
        });
        seen
    }

    /// A worker that does as told, and says so as a host does.
    pub fn obedient_worker(&self) {
        self.obedient_worker_of(HOST);
    }

    pub fn obedient_worker_of(&self, host: &str) {
        self.worker(host, |desired| Ok(json!({ "applied_generation": desired["generation"] })));
    }
}
