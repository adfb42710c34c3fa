//! One shape for every error.

use reqwest::Method;
use serde_json::json;
use uncloud_testkit::servers::PostgresServer;

use crate::app::{ApiResponse, TestApp, fill};

#[track_caller]
fn assert_problem(response: &ApiResponse, status: u16, code: &str) {
    assert_eq!(response.header("content-type"), "application/problem+json", "{}", response.text);
    let problem = response.expect(status);
    assert_eq!(problem["code"], code);
    assert_eq!(problem["status"], status);
    assert_eq!(problem["request_id"], response.header("x-request-id"));
    for member in ["type", "title", "detail"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {problem}");
    }
}

#[tokio::test]
async fn framework_rejection_of_each_kind_is_a_problem_response() {
    let app = TestApp::start().await;
    let json = |body: &str| Some(("application/json", body.to_owned()));
    let post = async |body| app.raw(Method::POST, "/v1/net/vpn", Some("alice"), body).await;
    assert_problem(&app.get("/nowhere", "alice").await, 404, "not_found");
    assert_problem(&app.get("/v1/net/vpn/x", "alice").await, 400, "malformed");
    assert_problem(&app.get("/v1/job/1?wait=61", "alice").await, 400, "malformed");
    assert_problem(&post(json("{")).await, 400, "malformed");
    assert_problem(&post(json("[]")).await, 400, "malformed");
    assert_problem(&post(json(&"[".repeat(1000))).await, 400, "malformed");
    assert_problem(&post(json(&format!("{{\"a\": \"{}\"}}", "x".repeat(70_000)))).await, 413, "content_too_large");
    assert_problem(&post(None).await, 415, "unsupported_media_type");
    assert_problem(&post(Some(("text/plain", "{}".into()))).await, 415, "unsupported_media_type");
    let response = app.request(Method::PUT, "/v1/net/vpn/1/", Some("alice"), Some(json!({}))).await;
    assert_problem(&response, 405, "method_not_allowed");
    assert_eq!(response.header("allow"), "DELETE, GET, PATCH");
}

#[tokio::test]
async fn request_with_several_invalid_fields_names_all() {
    let app = TestApp::start().await;
    let body =
        json!({ "network": "x", "network_size": 200, "listen_port": null, "vpn_hostname": "bare", "surprise": 1 });
    let response = app.post("/v1/admin/vpnpool", "admin", body).await;
    assert_problem(&response, 422, "invalid");
    let expected = ["/surprise", "/network", "/network_size", "/subnetwork_size", "/vpn_hostname", "/listen_port"];
    assert_eq!(response.wrong_fields(422), expected);
}

#[tokio::test]
async fn request_with_chunked_body_over_limit_returns_413() {
    let app = TestApp::start().await;
    let chunks = (0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024]));
    let response = reqwest::Client::new()
        .post(app.url("/v1/net/vpn"))
        .basic_auth("alice", Some(crate::app::PASSWORD))
        .header("content-type", "application/json")
        .body(reqwest::Body::wrap_stream(futures_util::stream::iter(chunks)))
        .send()
        .await
        .expect("a response");
    assert_eq!(response.status().as_u16(), 413);
}

#[tokio::test]
async fn request_during_database_outage_returns_503() {
    let postgres = PostgresServer::start();
    fill(&postgres.url("uncloud")).await;
    let app = TestApp::start_on(postgres.url("uncloud")).await;
    app.get("/v1/net/vpn", "alice").await.expect(200);
    drop(postgres);
    let response = app.get("/v1/net/vpn", "alice").await;
    assert_problem(&response, 503, "unavailable");
    assert_eq!(response.header("retry-after"), "5");
    assert!(!response.text.contains("uncloud-test"), "nothing internal: {}", response.text);
    let ready = app.request(Method::GET, "/readyz", None, None).await;
    assert_problem(&ready, 503, "unavailable");
    assert_eq!(ready.json()["detail"], "PostgreSQL is unavailable; Redis is available");
    assert_eq!(app.request(Method::GET, "/healthz", None, None).await.status, 200);
}
