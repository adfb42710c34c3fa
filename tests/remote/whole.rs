//! A control plane and a host's worker that share nothing but two servers elsewhere, reached over TLS.

use apalis::prelude::WorkerBuilder;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use uncloud::{
    accounts,
    cli::serve::{ServeSettings, serve},
    queue::{
        QueueName,
        backend::{Envelope, StreamBackend, StreamConfig},
        broker,
    },
    secret::Secret,
};

use crate::{
    certificates::certificates,
    postgres,
    redis_tls::{RemoteRedis, SERVER_PASSWORD},
};

const ADMIN: &str = "correct horse battery";

#[tokio::test]
async fn a_job_goes_from_the_database_to_a_host_and_back() {
    let (_server, port) = postgres::start().await;
    let redis = RemoteRedis::start();
    let ca = certificates().ca();
    let url = postgres::url("[::1]", port, &format!("sslmode=verify-full&sslrootcert={}", ca.display()));
    // sqlx itself wants the address without brackets; `serve` takes both.
    let options: sqlx::postgres::PgConnectOptions = url.parse().expect("a URL");
    let pool = sqlx::PgPool::connect_with(options.host("::1")).await.expect("database");
    uncloud::MIGRATIONS.run(&pool).await.expect("migrations");
    let admin = "admin".parse().expect("a name");
    accounts::bootstrap(&pool, &admin, true, Some(&ADMIN.to_owned().into())).await.expect("a user");

    let (stop, stopped) = watch::channel(false);
    let (ready, address) = oneshot::channel();
    let settings = ServeSettings {
        database_url: Secret::new(url),
        redis_url: redis.url("server", SERVER_PASSWORD),
        redis_ca_file: Some(ca.clone()),
        secret_key: Secret::new("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".into()),
        listen: "127.0.0.1:0".parse().expect("an address"),
    };
    let server = tokio::spawn(serve(settings, ready, stopped.clone()));
    let Ok(address) = address.await else { panic!("{:?}", server.await) };

    let queue: QueueName = "vpn-1.example.ch".parse().expect("a queue");
    let broker_url = redis.let_in(&queue).await;
    let client = broker::client(&broker_url, Some(&ca)).expect("a client");
    let backend = StreamBackend::new(StreamConfig::new(client, queue, "worker".into(), 1), stopped.clone());
    let handler = |envelope: Envelope| async move {
        let desired: Value = serde_json::from_slice(&envelope.payload)?;
        Ok::<_, serde_json::Error>(json!({ "applied_generation": desired["generation"] }))
    };
    let worker = tokio::spawn(WorkerBuilder::new("test").backend(backend).build(handler).run());

    let http = reqwest::Client::new();
    let body = json!({ "network": "2a0a:e5c1:200::/40", "subnetwork_size": 48, "vpn_hostname": "vpn-1.example.ch" });
    let made = http.post(format!("http://{address}/v1/admin/vpnpool")).basic_auth("admin", Some(ADMIN)).json(&body);
    let made: Value = made.send().await.expect("an answer").json().await.expect("JSON");
    let job = format!("http://{address}/v1/job/{}?wait=30", made["job"]["id"]);
    let job = http.get(job).basic_auth("admin", Some(ADMIN)).send().await.expect("an answer");
    let job: Value = job.json().await.expect("JSON");
    assert_eq!((&job["state"], &job["worker"]), (&json!("succeeded"), &json!("worker")), "{job}");
    stop.send_replace(true);
    worker.abort();
    server.await.expect("no panic").expect("ends in order");
}
