//! A server of its own for each test: one PostgreSQL for the process, a database for each test from a template.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::{OnceCell, oneshot, watch};
use uncloud::{
    accounts::{self, AccountSettings},
    cli::serve::{ServeSettings, serve},
    embedded::throwaway::{ThrowawayPostgres, ThrowawayRedis},
    http::TrustedProxies,
    server::{RateLimits, listen::Limits},
};
use uncloud_wire::{
    JobError, Secret,
    key::{PrivateKey, PublicKey},
    stream::StreamConfig,
};

/// All test users have it.
pub const PASSWORD: &str = "correct horse battery";
/// The host of most tests' pools.
pub const HOST: &str = "vpn-1.example.ch";

static POSTGRES: OnceCell<ThrowawayPostgres> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

async fn postgres() -> &'static ThrowawayPostgres {
    let start = || async {
        let server =
            tokio::task::spawn_blocking(ThrowawayPostgres::start).await.expect("no panic").expect("PostgreSQL");
        let url = server.create_database("template", None).await.expect("template");
        fill(&url).await;
        server
    };
    POSTGRES.get_or_init(start).await
}

/// Schema, defaults and users.
pub async fn fill(database_url: &Secret<String>) {
    let pool = PgPool::connect(database_url.expose()).await.expect("database");
    uncloud::cli::defaults::add_defaults(&pool).await.expect("schema and defaults");
    for (user, staff) in [("admin", true), ("alice", false), ("bob", false)] {
        let name = user.parse().expect("a name");
        accounts::bootstrap(&pool, &name, staff, Some(&PASSWORD.to_owned().into())).await.expect("a user");
    }
    pool.close().await;
}

/// A database with schema, defaults and users, but no server.
pub async fn database() -> PgPool {
    PgPool::connect(database_url().await.expose()).await.expect("database")
}

/// The same, as a URL.
pub async fn database_url() -> Secret<String> {
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    postgres().await.create_database(&name, Some("template")).await.expect("database")
}

/// A running server.
pub struct TestApp {
    pub pool: PgPool,
    pub database_url: Secret<String>,
    pub redis: ThrowawayRedis,
    pub address: SocketAddr,
    pub client: reqwest::Client,
    stop: watch::Sender<bool>,
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    async fn to(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
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
        let redis = ThrowawayRedis::start().expect("Redis");
        let mut settings = ServeSettings {
            database_url: database_url.clone(),
            redis_url: redis.url(),
            redis_ca_file: None,
            secret_key: Secret::new("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".into()),
            listen: "127.0.0.1:0".parse().expect("an address"),
            metrics_listen: None,
            accounts: AccountSettings::default(),
            proxies: TrustedProxies::new(vec!["127.0.0.1".parse().expect("a proxy")]),
            origins: Vec::new(),
            rates: RateLimits::DEFAULT,
            tls: None,
            limits: Limits::default(),
        };
        change(&mut settings);
        let (ready, address) = oneshot::channel();
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(settings, ready, stopped));
        let Ok(address) = address.await else { panic!("{:?}", server.await) };
        let pool = PgPool::connect(database_url.expose()).await.expect("database");
        Self { pool, database_url, redis, address, client: reqwest::Client::new(), stop }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn request(&self, method: Method, path: &str, user: Option<&str>, body: Option<Value>) -> Answer {
        self.raw(method, path, user, body.map(|body| ("application/json", body.to_string()))).await
    }

    pub async fn raw(&self, method: Method, path: &str, user: Option<&str>, body: Option<(&str, String)>) -> Answer {
        let mut request = self.client.request(method, self.url(path));
        if let Some(user) = user {
            request = request.basic_auth(user, Some(PASSWORD));
        }
        if let Some((content_type, body)) = body {
            request = request.header("content-type", content_type).body(body);
        }
        Answer::to(request).await
    }

    /// With a token, or whatever else that header may hold.
    pub async fn authorized(&self, method: Method, path: &str, authorization: &str, body: Option<Value>) -> Answer {
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
    ) -> Answer {
        let mut request = self.client.request(method, self.url(path)).header(name, value);
        if let Some(user) = user {
            request = request.basic_auth(user, Some(PASSWORD));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::to(request).await
    }

    pub async fn redis_connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.redis.url().expose().as_str()).expect("a URL");
        // Longer than tests let Redis be frozen.
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
        client.get_multiplexed_async_connection_with_config(&config).await.expect("Redis")
    }

    /// An operation for everybody signed in, with any password, from any address.
    pub async fn login(&self, user: &str, password: &str, from: &str) -> Answer {
        let request = self.client.get(self.url("/v1/net/vpn")).basic_auth(user, Some(password));
        Answer::to(request.header("x-forwarded-for", from)).await
    }

    pub async fn get(&self, path: &str, user: &str) -> Answer {
        self.request(Method::GET, path, Some(user), None).await
    }

    pub async fn post(&self, path: &str, user: &str, body: Value) -> Answer {
        self.request(Method::POST, path, Some(user), Some(body)).await
    }

    pub async fn put(&self, path: &str, user: &str, body: Value) -> Answer {
        self.request(Method::PUT, path, Some(user), Some(body)).await
    }

    pub async fn delete(&self, path: &str, user: &str) -> Answer {
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

    /// A worker that answers with what `work` makes of each payload.
    pub fn worker<F>(&self, queue: &str, work: F)
    where
        F: Fn(Value) -> Result<Value, JobError> + Clone + Send + Sync + 'static,
    {
        let redis = redis::Client::open(self.redis.url().expose().as_str()).expect("a URL");
        let config = StreamConfig::new(redis, queue.parse().expect("a queue"), "test".into(), 4);
        crate::worker::start(config, &self.stop, work);
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

/// A key of its own for each caller.
pub fn new_key() -> PublicKey {
    PrivateKey::generate(&ring::rand::SystemRandom::new()).expect("random numbers").public_key()
}
