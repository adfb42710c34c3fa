//! Headers for browsers.

use reqwest::{Method, Response};
use uncloud::server::Origin;

use crate::app::{PASSWORD, TestApp};

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

const PANEL: &str = "https://panel.example.ch";

async fn with_panel() -> TestApp {
    let origin: Origin = PANEL.parse().expect("an origin");
    TestApp::start_changed(|settings| settings.origins = vec![origin]).await
}

async fn asked_by(app: &TestApp, method: Method, origin: &str) -> Response {
    let request = reqwest::Client::new().request(method, app.url("/v1/net/vpn")).basic_auth("alice", Some(PASSWORD));
    let request = request.header("origin", origin).header("access-control-request-method", "POST");
    request.send().await.expect("a response")
}

#[tokio::test]
async fn response_of_any_path_has_browser_security_headers() {
    let app = TestApp::start().await;
    for path in ["/healthz", "/openapi.json", "/nowhere", "/v1/net/vpn", "/docs", "/docs/"] {
        let response = reqwest::get(app.url(path)).await.expect("a response");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header(&response, "strict-transport-security"), "", "{path}: without TLS it would mean nothing");
        let policy = header(&response, "content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        let script = policy.contains("script-src");
        assert_eq!(script, path.starts_with("/docs"), "{path}: only one page has scripts: {policy}");
        assert!(!policy.contains("script-src 'unsafe-inline'") && !policy.contains('*'), "{policy}");
    }
}

#[tokio::test]
async fn cors_request_from_origin_is_allowed_only_if_configured() {
    let app = TestApp::start().await;
    for method in [Method::GET, Method::OPTIONS] {
        let response = asked_by(&app, method.clone(), PANEL).await;
        assert_eq!(header(&response, "access-control-allow-origin"), "", "{method}: off by default");
        assert_eq!(response.status().as_u16(), if method == Method::GET { 200 } else { 405 });
    }
    let app = with_panel().await;
    let response = asked_by(&app, Method::OPTIONS, PANEL).await;
    assert_eq!(response.status(), 204);
    assert_eq!(header(&response, "access-control-allow-origin"), PANEL);
    assert!(header(&response, "access-control-allow-headers").contains("Authorization"));
    assert!(header(&response, "access-control-allow-methods").contains("PATCH"));
    let response = asked_by(&app, Method::GET, PANEL).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "access-control-allow-origin"), PANEL);
    assert!(header(&response, "access-control-expose-headers").contains("Location"));
    assert_eq!(
        header(&response, "access-control-allow-credentials"),
        "",
        "a password is sent, never taken from a browser"
    );
    for stranger in ["https://evil.example.ch", "https://panel.example.ch.evil.ch", "null"] {
        for method in [Method::GET, Method::OPTIONS] {
            let response = asked_by(&app, method, stranger).await;
            assert_eq!(header(&response, "access-control-allow-origin"), "", "{stranger}");
            assert_eq!(header(&response, "vary"), "Origin", "a cache must not give it to the panel");
        }
    }
}

#[tokio::test]
async fn change_requested_by_foreign_page_is_refused() {
    let app = with_panel().await; // 127.0.0.1 is a trusted proxy
    let own = format!("http://{}", app.address);
    let request = async |method: Method, headers: &[(&str, &str)]| {
        let request = reqwest::Client::new().request(method, app.url("/v1/admin/queue/vpn-1.example.ch/purge"));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.basic_auth("admin", Some(PASSWORD)).send().await.expect("a response")
    };
    let foreign: [&[(&str, &str)]; 8] = [
        &[("origin", "https://evil.example.ch")],
        &[("origin", "null")],
        &[("origin", "https://panel.example.ch.evil.ch")],
        &[("origin", PANEL), ("origin", "https://evil.example.ch")],
        &[("origin", &own.replace("http:", "https:"))],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[
            ("origin", "https://api.example.ch"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "api.example.ch, x"),
        ],
    ];
    for headers in foreign {
        let response = request(Method::POST, headers).await;
        assert_eq!(response.status(), 403, "{headers:?}");
        let problem: serde_json::Value = response.json().await.expect("a problem");
        assert_eq!(problem["code"], "forbidden");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("UNCLOUD_CORS_ORIGINS")), "{problem}");
    }
    let right: [&[(&str, &str)]; 7] = [
        &[],
        &[("origin", &own)],
        &[("origin", PANEL), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://api.example.ch"), ("x-forwarded-proto", "https"), ("host", "API.example.ch:443")],
        &[
            ("origin", "https://api.example.ch"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "x, api.example.ch"),
        ],
    ];
    for headers in right {
        let status = request(Method::POST, headers).await.status();
        assert_ne!(status, 403, "{headers:?}");
    }
    // A page that may not read the answer may send a safe request.
    assert_eq!(request(Method::GET, &[("origin", "https://evil.example.ch")]).await.status(), 405);
}
