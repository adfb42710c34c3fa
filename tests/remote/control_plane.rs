//! A control plane in this process, on databases elsewhere.

use std::{net::SocketAddr, path::Path};

use serde_json::Value;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};
use uncloud::{
    accounts,
    cli::serve::{ServeSettings, serve},
};
use uncloud_wire::{QueueName, Secret, broker, stream::StreamConfig};

const ADMIN: &str = "correct horse battery";
pub const HOST: &str = "vpn-1.example.ch";

/// Schema, and the user `admin`.
pub async fn fill(pool: &sqlx::PgPool) {
    uncloud::migrations::migrate(pool).await.expect("migrations");
    let admin = "admin".parse().expect("a name");
    accounts::bootstrap(pool, &admin, true, Some(&ADMIN.to_owned().into())).await.expect("a user");
}

pub struct ControlPlane {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<anyhow::Result<()>>,
    http: reqwest::Client,
}

impl ControlPlane {
    pub async fn start(database_url: Secret<String>, redis_url: Secret<String>, redis_ca: Option<&Path>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (ready, address) = oneshot::channel();
        let settings = ServeSettings {
            database_url,
            redis_url,
            redis_ca_file: redis_ca.map(Path::to_owned),
            secret_key: Secret::new("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".into()),
            listen: "127.0.0.1:0".parse().expect("an address"),
            metrics_listen: None,
            accounts: uncloud::accounts::AccountSettings::default(),
            proxies: uncloud::http::TrustedProxies::default(),
            origins: Vec::new(),
            tls: None,
            rates: uncloud::server::RateLimits::NONE,
            limits: uncloud::server::listen::Limits::default(),
        };
        let server = tokio::spawn(serve(settings, ready, stopped));
        let Ok(address) = address.await else { panic!("{:?}", server.await) };
        Self { address, stop, server, http: reqwest::Client::new() }
    }

    /// A worker of [`HOST`] that answers with what `work` makes of each desired state; it ends with the server.
    pub fn worker<F>(&self, broker_url: &Secret<String>, ca: Option<&Path>, work: F)
    where
        F: Fn(Value) -> Value + Clone + Send + Sync + 'static,
    {
        let queue: QueueName = HOST.parse().expect("a queue");
        let client = broker::client(broker_url, ca).expect("a client");
        let config = StreamConfig::new(client, queue, "worker".into(), 1);
        crate::worker::start(config, &self.stop, move |desired| Ok(work(desired)));
    }

    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("http://{}{path}", self.address)).basic_auth("admin", Some(ADMIN));
        request.json(body).send().await.expect("an answer").json().await.expect("JSON")
    }

    pub async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("http://{}{path}", self.address)).basic_auth("admin", Some(ADMIN));
        request.send().await.expect("an answer").json().await.expect("JSON")
    }

    /// A resource's job, when it has ended.
    pub async fn finished(&self, resource: &Value) -> Value {
        assert!(resource["job"]["id"].is_i64(), "{resource}");
        self.get(&format!("/v1/job/{}?wait=30", resource["job"]["id"])).await
    }

    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.server.await.expect("no panic").expect("ends in order");
    }
}
