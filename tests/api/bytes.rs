//! Requests that no decent client sends, byte for byte.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::app::{ApiResponse, PASSWORD, TestApp};

/// Base64 of `alice:` and the password.
const ALICE: &str = "authorization: Basic YWxpY2U6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5";

/// Sends the bytes, and reads until the server closes the connection.
async fn send(app: &TestApp, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.address).await.expect("a connection");
    stream.write_all(request).await.expect("sent");
    let mut response = Vec::new();
    // A server that has had enough may reset the connection after its response.
    let _ = stream.read_to_end(&mut response).await;
    String::from_utf8(response).expect("text")
}

/// A request of alice's: its first line without the version, more headers, and the body.
async fn ask(app: &TestApp, line: &str, headers: &[&str], body: &[u8]) -> (u16, Value) {
    let mut request = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{ALICE}\r\n");
    for header in headers {
        request = format!("{request}{header}\r\n");
    }
    let mut request = format!("{request}content-length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend_from_slice(body);
    let response = send(app, &request).await;
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = response.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
    (status.unwrap_or_else(|| panic!("no response: {response:?}")), body.unwrap_or_default())
}

#[track_caller]
fn assert_problem((status, problem): (u16, Value), expected: u16, code: &str) {
    assert_eq!(status, expected, "{problem}");
    assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(expected)), "{problem}");
    assert!(problem["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{problem}");
}

#[tokio::test]
async fn request_with_too_long_uri_or_headers_returns_414_or_431() {
    let app = TestApp::start().await;
    let path = |length: usize| format!("GET /{}", "x".repeat(length));
    assert_problem(ask(&app, &path(8000), &[], b"").await, 404, "not_found");
    assert_problem(ask(&app, &path(9000), &[], b"").await, 414, "uri_too_long");
    let query = format!("GET /v1/net/vpn?cursor={}", "1".repeat(9000));
    assert_problem(ask(&app, &query, &[], b"").await, 414, "uri_too_long");
    let header = |length: usize| format!("x-long: {}", "x".repeat(length));
    assert_eq!(ask(&app, "GET /healthz", &[&header(30_000)], b"").await.0, 200);
    assert_problem(ask(&app, "GET /healthz", &[&header(33_000)], b"").await, 431, "headers_too_large");
    // So much is not even read.
    assert_eq!(ask(&app, "GET /healthz", &[&header(200_000)], b"").await.0, 431);
}

#[tokio::test]
async fn connection_with_invalid_http_is_refused_and_closed() {
    let app = TestApp::start().await;
    for request in
        ["\u{16}\u{3}\u{1}\u{0}\u{0}", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\na b: c\r\n\r\n"]
    {
        let response = send(&app, request.as_bytes()).await;
        assert!(response.is_empty() || response.starts_with("HTTP/1.1 400 "), "{request:?}: {response}");
    }
    assert_eq!(ask(&app, "GET /healthz", &[], b"").await.0, 200);
}

#[tokio::test]
async fn request_with_invalid_utf8_in_path_query_or_body_returns_400() {
    let app = TestApp::start().await;
    assert_problem(ask(&app, "GET /v1/net/vpn/%FF", &[], b"").await, 400, "malformed");
    assert_problem(ask(&app, "GET /v1/net/vpn?cursor=%FF", &[], b"").await, 400, "malformed");
    assert_problem(ask(&app, "GET /v1/net/vpn?%FF=1", &[], b"").await, 400, "malformed");
    let json = ["content-type: application/json"];
    let body = b"{\"network_size\": 48, \"wireguard_public_key\": \"\xff\"}";
    assert_problem(ask(&app, "POST /v1/net/vpn", &json, body).await, 400, "malformed");
    // Half of a character that needs two: JSON's own way to write no text.
    let body = br#"{"name": "\ud800", "street": "x", "city": "x", "country": "CH"}"#;
    assert_problem(ask(&app, "PUT /v1/billing_address", &json, body).await, 400, "malformed");
}

#[tokio::test]
async fn request_with_control_characters_in_text_is_refused() {
    let app = TestApp::start().await;
    let address = |name: &str| json!({ "name": name, "street": "Seeweg 1", "city": "Glarus", "country": "CH" });
    for name in ["a\u{0}b", "a\nb", "\u{1b}[31mred", "a\u{7f}", "a\u{85}b", "\u{a0}", ""] {
        let response = app.put("/v1/billing_address", "alice", address(name)).await;
        assert_eq!(response.wrong_fields(422), ["/name"], "{name:?}");
    }
    app.put("/v1/billing_address", "alice", address("Zoë 🦀")).await.expect(200);
    for path in
        ["/v1/admin/audit?kind=%00", "/v1/admin/audit?kind=a%0Ab", "/v1/admin/job?error=%1b", "/v1/admin/queue/a%00b"]
    {
        app.get(path, "admin").await.expect(400);
    }
}

#[tokio::test]
async fn request_with_nested_body_of_any_depth_is_refused_as_problem() {
    let app = TestApp::start().await;
    let json = ["content-type: application/json"];
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = |depth: usize| format!("{{\"x\": {}1{}}}", open.repeat(depth), close.repeat(depth)).into_bytes();
        assert_problem(ask(&app, "POST /v1/net/vpn", &json, &deep(100)).await, 422, "invalid");
        assert_problem(ask(&app, "POST /v1/net/vpn", &json, &deep(8000)).await, 400, "malformed");
    }
}

#[tokio::test]
async fn query_with_unknown_or_repeated_parameters_is_refused() {
    let app = TestApp::start().await;
    for (path, word) in [
        ("/v1/net/vpn?limt=1", "is unknown; allowed: limit, cursor, sort"),
        ("/v1/net/vpn?limit=1&limit=2", "must occur only once"),
        ("/v1/net/vpn?=1", "allowed"),
        ("/v1/net/vpn/1?x", "allowed: none"),
        ("/api/?x=1", "allowed: none"),
        ("/healthz?x=1", "allowed: none"),
    ] {
        let problem = app.get(path, "alice").await.expect(400);
        assert_eq!(problem["code"], "malformed");
        let message = problem["errors"][0]["message"].as_str().expect("a message");
        assert!(message.contains(word), "{path}: {problem}");
    }
    app.get("/v1/net/vpn/?limit=1", "alice").await.expect(200);
    // Whoever puts a secret into the address must not find it in the response.
    let secret = "/v1/net/vpn?dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo%3D=1";
    assert!(!app.get(secret, "alice").await.text.contains("dwdtCnMY"));
}

async fn named(app: &TestApp, id: &str) -> ApiResponse {
    let request = reqwest::Client::new().get(app.url("/v1/net/vpn")).basic_auth("alice", Some(PASSWORD));
    let response = request.header("x-request-id", id).send().await.expect("a response");
    ApiResponse {
        status: response.status(),
        headers: response.headers().clone(),
        text: response.text().await.expect("a body"),
    }
}

#[tokio::test]
async fn request_id_header_malformed_or_from_untrusted_proxy_is_replaced() {
    let app = TestApp::start().await; // its tests are its proxy
    assert_eq!(named(&app, "6c2f3b1e-8f0a-4d7e").await.header("x-request-id"), "6c2f3b1e-8f0a-4d7e");
    for wrong in ["x", "a b c d e f g h", "<script>alert(1)</script>", &"x".repeat(65)] {
        let id = named(&app, wrong).await.header("x-request-id").to_owned();
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    let alone = TestApp::start_changed(|settings| settings.proxies = uncloud::http::TrustedProxies::default()).await;
    assert_ne!(named(&alone, "6c2f3b1e-8f0a-4d7e").await.header("x-request-id"), "6c2f3b1e-8f0a-4d7e");
}
