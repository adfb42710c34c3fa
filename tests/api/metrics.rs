//! Metrics and log lines.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use uncloud_testkit::servers::RedisServer;
use uncloud_wire::JobError;

use crate::{
    app::{HOST, PASSWORD, TestApp, database_url},
    servers::Server,
};

/// The value of a sample; none when it is not there.
fn sample(text: &str, name_and_labels: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' ')?.parse().ok())
}

impl TestApp {
    async fn metrics(&self) -> String {
        let response = self.get("/metrics", "admin").await;
        assert_eq!(response.status, 200, "{}", response.text);
        assert_eq!(response.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        response.text
    }
}

#[tokio::test]
async fn metrics_after_requests_and_jobs_contain_their_counts() {
    let app = TestApp::start().await;
    let tries = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    app.worker(HOST, move |desired| match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Err(JobError::Retry("wg is busy".into())),
        _ => Ok(json!({ "applied_generation": desired["generation"] })),
    });
    let pool = app.handbook_pool().await;
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
    app.get("/v1/admin/vpnpool/1000", "admin").await.expect(404);
    app.get("/made/up", "admin").await.expect(404);
    app.cli(&["schedule", "run", "job-cleanup"]).await.expect("asked");
    let queue = format!("queue=\"{HOST}\"");
    let attempts =
        |outcome: &str| format!("uncloud_job_attempts_total{{kind=\"vpn_apply\",{queue},outcome=\"{outcome}\"}}");
    let own = "uncloud_job_attempts_total{kind=\"job_cleanup\",queue=\"server\",outcome=\"succeeded\"}";
    let mut text = app.metrics().await;
    for _ in 0..500 {
        if sample(&text, own).is_some() && sample(&text, &format!("uncloud_workers_alive{{{queue}}}")).is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        text = app.metrics().await;
    }
    let expect = |name: &str, value: f64| assert_eq!(sample(&text, name), Some(value), "{name} in\n{text}");
    expect(own, 1.0);
    expect(&attempts("retry"), 1.0);
    expect(&attempts("succeeded"), 1.0);
    expect(&format!("uncloud_job_run_seconds_count{{kind=\"vpn_apply\",{queue}}}"), 2.0);
    expect(&format!("uncloud_job_wait_seconds_count{{kind=\"vpn_apply\",{queue}}}"), 2.0);
    expect(&format!("uncloud_job_wait_seconds_bucket{{kind=\"vpn_apply\",{queue},le=\"+Inf\"}}"), 2.0);
    expect(&format!("uncloud_workers_alive{{{queue}}}"), 1.0);
    expect("uncloud_part_up{part=\"postgres\"}", 1.0);
    expect("uncloud_part_up{part=\"redis\"}", 1.0);
    let requests = |operation: &str, status: u16| {
        format!("uncloud_http_request_duration_seconds_count{{operation=\"{operation}\",status=\"{status}\"}}")
    };
    expect(&requests("admin_vpnpool_create", 201), 1.0);
    expect(&requests("admin_vpnpool_read", 404), 1.0);
    expect(&requests("other", 404), 1.0);
    assert!(text.contains("uncloud_worker_leases_lost_total{queue=\"vpn-1.example.ch\",worker=\"test\","), "{text}");
    assert!(!text.contains("made/up"), "nobody makes up labels");
    let declared = |line: &str| line.split(['{', ' ']).next().map(str::to_owned);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = declared(line).expect("a name");
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        assert!(text.contains(&format!("# TYPE {family} ")) || text.contains(&format!("# TYPE {name} ")), "{line}");
        assert!(line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "{line}");
    }
}

#[tokio::test]
async fn metrics_with_queued_job_and_redis_outage_report_both() {
    let mut app = TestApp::start().await;
    let path = format!("/v1/admin/queue/{HOST}");
    app.request(Method::PATCH, &path, Some("admin"), Some(json!({ "paused": true }))).await.expect(200);
    app.handbook_pool().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let text = app.metrics().await;
    let queue = format!("queue=\"{HOST}\"");
    assert_eq!(sample(&text, &format!("uncloud_queue_jobs{{{queue},state=\"queued\"}}")), Some(1.0), "{text}");
    let oldest = sample(&text, &format!("uncloud_queue_oldest_available_seconds{{{queue}}}")).expect("an age");
    assert!(oldest >= 0.02, "{oldest}");
    app.redis.stop();
    let text = app.metrics().await;
    assert_eq!(sample(&text, "uncloud_part_up{part=\"redis\"}"), Some(0.0), "{text}");
    assert_eq!(app.request(Method::GET, "/metrics", None, None).await.status, 401);
    assert_eq!(app.get("/metrics", "alice").await.status, 403);
}

#[tokio::test]
async fn metrics_listener_without_login_serves_only_metrics() {
    let (url, redis) = (database_url().await, RedisServer::start());
    let mut server = Server::start(&url, &redis, &["--metrics-listen", "127.0.0.1:0"]).await;
    let address = server.said("serving metrics").await["address"].as_str().expect("text").to_owned();
    let get = async |path: &str| reqwest::get(format!("http://{address}{path}")).await.expect("a response");
    let response = get("/metrics").await;
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = response.text().await.expect("text");
    assert_eq!(sample(&text, "uncloud_part_up{part=\"postgres\"}"), Some(1.0), "{text}");
    for path in ["/", "/v1/job/1", "/healthz", "/docs"] {
        assert_eq!(get(path).await.status(), 404, "{path}");
    }
    assert!(server.terminate().await.success(), "it ends in order");
}

/// One id from the customer's response through the server's log to the job's row, as a worker sees it.
#[tokio::test]
async fn log_of_request_and_dispatched_job_shares_request_id() {
    let (url, redis) = (database_url().await, RedisServer::start());
    let mut server = Server::start(&url, &redis, &[]).await;
    let body = json!({ "network": "2001:db8:100::/40", "subnetwork_size": 48, "vpn_hostname": HOST });
    let request = reqwest::Client::new().post(format!("http://{}/v1/admin/vpnpool", server.address));
    let response = request.basic_auth("admin", Some(PASSWORD)).json(&body).send().await.expect("a response");
    let request_id = response.headers()["x-request-id"].to_str().expect("text").to_owned();
    let pool: Value = response.json().await.expect("JSON");
    let finished = server.said("request finished").await;
    assert_eq!(
        (&finished["span"]["id"], &finished["span"]["name"]),
        (&json!(request_id), &json!("request")),
        "{finished}"
    );
    assert_eq!((&finished["status"], &finished["path"]), (&json!(201), &json!("/v1/admin/vpnpool")));
    let dispatched = server.said("job dispatched").await;
    assert_eq!((&dispatched["request"], &dispatched["job"]), (&json!(request_id), &pool["job"]["id"]), "{dispatched}");
}
