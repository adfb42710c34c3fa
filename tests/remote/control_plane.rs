//! A control plane in this process, on databases elsewhere.

use std::path::Path;

use serde_json::Value;
use uncloud::accounts;
use uncloud_testkit::{
    fixtures::{HOST, PASSWORD},
    in_process::{Server, serve_settings},
};
use uncloud_wire::{QueueName, Secret, broker, stream::StreamConfig};

/// Schema, and the user `admin`.
pub async fn fill(pool: &sqlx::PgPool) {
    uncloud::migrations::migrate(pool).await.expect("migrations");
    let admin = "admin".parse().expect("a name");
    accounts::bootstrap(
        pool,
        &admin,
        true,
        Some(&accounts::NewPassword::new(&PASSWORD.to_owned().into()).expect("long enough")),
    )
    .await
    .expect("a user");
}

pub struct ControlPlane {
    server: Server,
    http: reqwest::Client,
}

impl ControlPlane {
    pub async fn start(database_url: Secret<String>, redis_url: Secret<String>, redis_ca: Option<&Path>) -> Self {
        let mut settings = serve_settings(database_url, redis_url);
        settings.redis_ca_file = redis_ca.map(Path::to_owned);
        Self { server: Server::start(settings).await, http: reqwest::Client::new() }
    }

    /// A worker of [`HOST`] that returns what `work` makes of each desired state; it ends with the server.
    pub fn worker<F>(&self, broker_url: &Secret<String>, ca: Option<&Path>, work: F)
    where
        F: Fn(Value) -> Value + Clone + Send + Sync + 'static,
    {
        let queue: QueueName = HOST.parse().expect("a queue");
        let client = broker::client(broker_url, ca).expect("a client");
        let config = StreamConfig::new(client, queue, "worker".into(), 1);
        self.server.start_worker(config, move |desired| Ok(work(desired)));
    }

    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let request =
            self.http.post(format!("http://{}{path}", self.server.address)).basic_auth("admin", Some(PASSWORD));
        request.json(body).send().await.expect("a response").json().await.expect("JSON")
    }

    pub async fn get(&self, path: &str) -> Value {
        let request =
            self.http.get(format!("http://{}{path}", self.server.address)).basic_auth("admin", Some(PASSWORD));
        request.send().await.expect("a response").json().await.expect("JSON")
    }

    /// A resource's job, when it has ended.
    pub async fn finished(&self, resource: &Value) -> Value {
        assert!(resource["job"]["id"].is_i64(), "{resource}");
        self.get(&format!("/v1/job/{}?wait=30", resource["job"]["id"])).await
    }

    pub async fn stop(self) {
        self.server.stop().await;
    }
}
