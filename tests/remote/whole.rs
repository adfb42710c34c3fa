//! A control plane and a host's worker that share nothing but two servers elsewhere, reached over TLS.

use serde_json::json;
use uncloud_testkit::fixtures::HOST;
use uncloud_wire::Secret;

use crate::{
    certificates::certificates,
    control_plane::{ControlPlane, fill},
    postgres,
    redis_tls::{RemoteRedis, SERVER_PASSWORD},
};

#[tokio::test]
async fn job_over_remote_tls_servers_reaches_host_and_succeeds() {
    let (_server, port) = postgres::start().await;
    let redis = RemoteRedis::start();
    let ca = certificates().ca();
    let url = postgres::url("[::1]", port, &format!("sslmode=verify-full&sslrootcert={}", ca.display()));
    // sqlx itself wants the address without brackets; `serve` takes both.
    let options: sqlx::postgres::PgConnectOptions = url.parse().expect("a URL");
    fill(&sqlx::PgPool::connect_with(options.host("::1")).await.expect("database")).await;

    let server_url = redis.url("server", SERVER_PASSWORD);
    let control_plane = ControlPlane::start(Secret::new(url), server_url, Some(&ca)).await;
    let broker_url = redis.let_in(&HOST.parse().expect("a queue")).await;
    control_plane.worker(&broker_url, Some(&ca), |desired| json!({ "applied_generation": desired["generation"] }));
    let body = json!({ "network": "2a0a:e5c1:200::/40", "subnetwork_size": 48, "vpn_hostname": HOST });
    let pool = control_plane.post("/v1/admin/vpnpool", &body).await;
    let job = control_plane.finished(&pool).await;
    assert_eq!((&job["state"], &job["worker"]), (&json!("succeeded"), &json!("worker")), "{job}");
    control_plane.stop().await;
}
