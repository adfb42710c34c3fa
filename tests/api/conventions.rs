//! Conventions of all operations: tags, preconditions, links, parameters, limits.

use reqwest::Method;
use serde_json::{Value, json};
use uncloud::server::RateLimits;

use crate::{
    app::{TestApp, new_key},
    billing_address::business,
};

#[tokio::test]
async fn read_with_matching_if_none_match_returns_304() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await;
    app.obedient_worker();
    app.finished(&pool).await;
    let read = app.get("/v1/admin/vpnpool/1", "admin").await;
    let etag = read.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.len() == 35, "{etag}");
    let ask = async |tags: &str| {
        app.with_header(Method::GET, "/v1/admin/vpnpool/1", Some("admin"), ("if-none-match", tags), None).await
    };
    for tags in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let response = ask(&tags).await;
        assert_eq!(
            (response.status.as_u16(), response.text.as_str(), response.header("etag")),
            (304, "", etag.as_str()),
            "{tags}"
        );
    }
    assert_eq!(ask("\"x\"").await.text, read.text);
    let edited =
        app.request(Method::PATCH, "/v1/admin/vpnpool/1", Some("admin"), Some(json!({ "listen_port": 51821 }))).await;
    assert_eq!(ask(&etag).await.status, 200);
    assert_ne!(edited.header("etag"), etag);
}

#[tokio::test]
async fn updates_at_once_with_same_if_match_apply_only_one() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    app.network("alice", new_key()).await;
    let etag = app.get("/v1/net/vpn/1", "alice").await.header("etag").to_owned();
    let edits = (0..8).map(|_| {
        let body = json!({ "wireguard_public_key": new_key().to_string() });
        app.with_header(Method::PATCH, "/v1/net/vpn/1", Some("alice"), ("if-match", &etag), Some(body))
    });
    let mut statuses: Vec<_> =
        futures_util::future::join_all(edits).await.iter().map(|response| response.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
    let response = app.with_header(Method::DELETE, "/v1/net/vpn/1", Some("alice"), ("if-match", "*"), None).await;
    response.expect(202);
    let header = ("if-match", "*");
    let in_vain =
        app.with_header(Method::POST, "/v1/admin/vpnpool/1/key", Some("admin"), header, Some(json!({}))).await;
    assert_eq!(in_vain.wrong_fields(400), ["/If-Match"]);
}

#[tokio::test]
async fn list_with_more_items_links_to_next_page() {
    let app = TestApp::start().await;
    let first = app.get("/v1/admin/user?limit=2", "admin").await;
    assert_eq!(first.header("link"), "</v1/admin/user?limit=2&cursor=2>; rel=\"next\"");
    let last = app.get("/v1/admin/user?limit=2&cursor=2", "admin").await;
    assert_eq!((last.expect(200)["items"].as_array().map(Vec::len), last.header("link")), (Some(1), ""));
}

#[tokio::test]
async fn request_over_rate_limit_returns_429_with_retry_after() {
    let app = TestApp::start_changed(|settings| settings.rates = RateLimits { user: 3, address: 2 }).await;
    for left in 0..3 {
        let response = app.get("/v1/net/vpn", "alice").await;
        response.expect(200);
        assert_eq!(response.header("ratelimit-policy"), "\"user\";q=3;w=60");
        assert!(response.header("ratelimit").starts_with(&format!("\"user\";r={};t=", 2 - left)), "{response:?}");
    }
    let refused = app.get("/v1/net/vpn", "alice").await;
    assert_eq!(refused.expect(429)["code"], "rate_limited");
    assert!(refused.header("ratelimit").starts_with("\"user\";r=0;t="), "{refused:?}");
    let secs: u64 = refused.header("retry-after").parse().expect("a number");
    assert!((1..=60).contains(&secs), "{secs}");
    app.get("/v1/net/vpn", "bob").await.expect(200);
    let token = app.post("/v1/token", "admin", json!({ "name": "x", "scopes": ["read"] })).await.expect(201);
    let token = format!("Bearer {}", token["secret"].as_str().expect("a secret"));
    app.authorized(Method::GET, "/v1/net/vpn", &token, None).await.expect(200);
    // Nobody known: by address, and from then on nobody there is even asked for a password.
    let product = async || app.request(Method::GET, "/v1/product", None, None).await;
    assert_eq!(product().await.header("ratelimit-policy"), "\"address\";q=2;w=60");
    app.authorized(Method::GET, "/v1/net/vpn", "Bearer x", None).await.expect(401);
    assert_eq!(product().await.expect(429)["code"], "rate_limited");
    assert_eq!(app.get("/v1/net/vpn", "bob").await.expect(429)["code"], "rate_limited");
    app.authorized(Method::GET, "/v1/net/vpn", &token, None).await.expect(200); // which was known
    for _ in 0..5 {
        app.request(Method::GET, "/healthz", None, None).await.expect(200);
    }
}

#[tokio::test]
async fn problem_with_many_errors_names_only_first_hundred() {
    let app = TestApp::start().await;
    let members: serde_json::Map<String, Value> = (0..5000).map(|number| (format!("m{number}"), Value::Null)).collect();
    let key = ("idempotency-key", "k");
    let refused = app.with_header(Method::POST, "/v1/token", Some("alice"), key, Some(members.into())).await;
    assert_eq!(refused.wrong_fields(422).len(), 100);
    assert!(refused.json()["detail"].as_str().is_some_and(|detail| detail.ends_with("the first 100 are named")));
    let kept: i64 = sqlx::query_scalar("select count(*) from idempotency").fetch_one(&app.pool).await.expect("a count");
    assert_eq!(kept, 0, "nor is it kept");
    let refused = app.get(&format!("/v1/net/vpn?{}", "a&".repeat(3000)), "alice").await;
    assert_eq!(refused.wrong_fields(400).len(), 100);
}

#[tokio::test]
async fn request_with_unexpected_body_returns_400() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let path = format!("/v1/net/vpn/{}", app.network("alice", new_key()).await["id"]);
    let delete = async |body: Value| app.request(Method::DELETE, &path, Some("alice"), Some(body)).await;
    let refused = delete(json!({ "when": "tomorrow" })).await.expect(400);
    assert_eq!(refused["detail"], "this operation does not take a body; omit it");
    app.get(&path, "alice").await.expect(200);
    delete(Value::Null).await.expect(202);
    let network = app.network("alice", new_key()).await;
    let path = format!("/v1/net/vpn/{}", network["id"]);
    app.request(Method::GET, &path, Some("alice"), Some(Value::Null)).await.expect(200);
    app.request(Method::DELETE, &path, Some("alice"), Some(json!({}))).await.expect(202);
}

#[tokio::test]
async fn request_body_as_clients_send_it_is_accepted_or_refused_by_name() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let body = |size: &str| format!("{{\"network_size\": {size}, \"wireguard_public_key\": \"{}\"}}", new_key());
    let post = async |body: String| {
        app.raw(Method::POST, "/v1/net/vpn", Some("alice"), Some(("application/json", body))).await
    };
    post(format!("\u{feff}{}", body("48"))).await.expect(201);
    post(body("48.0")).await.expect(201);
    assert_eq!(post(body("48.5")).await.wrong_fields(422), ["/network_size"]);
    let gzip = ("content-encoding", "gzip");
    let body: Value = serde_json::from_str(&body("48")).expect("JSON");
    let refused = app.with_header(Method::POST, "/v1/net/vpn", Some("alice"), gzip, Some(body.clone())).await;
    let problem = refused.expect(415);
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("gzip")), "{problem}");
    let identity = ("content-encoding", "identity");
    app.with_header(Method::POST, "/v1/net/vpn", Some("alice"), identity, Some(body)).await.expect(201);
}

#[tokio::test]
async fn edit_with_weak_etag_returns_412_and_says_why() {
    let app = TestApp::start().await;
    app.put("/v1/billing_address", "alice", business()).await.expect(200);
    let etag = app.get("/v1/billing_address", "alice").await.header("etag").to_owned();
    let edit = async |tag: &str| {
        app.with_header(Method::PUT, "/v1/billing_address", Some("alice"), ("if-match", tag), Some(business())).await
    };
    let problem = edit(&format!("W/{etag}")).await.expect(412);
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("weak")), "{problem}");
    edit(&format!("W/\"other\", {etag}")).await.expect(200);
    edit(&format!("V/{etag}")).await.expect(400);
}

#[tokio::test]
async fn response_of_each_kind_has_its_cache_control() {
    let app = TestApp::start().await;
    for (path, kept) in
        [("/v1/net/vpn", "no-store"), ("/v1/admin/user/2", "private, no-cache"), ("/openapi.json", "no-cache")]
    {
        assert_eq!(app.get(path, "admin").await.header("cache-control"), kept, "{path}");
    }
}

#[tokio::test]
async fn head_on_readable_path_returns_get_response_without_body() {
    let app = TestApp::start().await;
    app.put("/v1/billing_address", "alice", business()).await.expect(200);
    let ask = async |method: Method, path: &str| app.request(method, path, Some("alice"), None).await;
    let (get, head) = (ask(Method::GET, "/v1/net/vpn").await, ask(Method::HEAD, "/v1/net/vpn").await);
    assert_eq!((head.status, head.text.as_str()), (get.status, ""));
    for path in ["/v1/net/vpn", "/v1/billing_address", "/openapi.json", "/v1/product?limit=1"] {
        let (get, head) = (ask(Method::GET, path).await, ask(Method::HEAD, path).await);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        for name in ["content-type", "content-length", "etag", "link", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
    }
    let etag = ask(Method::GET, "/v1/billing_address").await.header("etag").to_owned();
    let unchanged = ("if-none-match", etag.as_str());
    let again = app.with_header(Method::HEAD, "/v1/billing_address", Some("alice"), unchanged, None).await;
    assert_eq!(again.status, 304);
    assert_eq!(ask(Method::HEAD, "/v1/product?nonsense=1").await.status, 400);
    assert_eq!(ask(Method::HEAD, "/v1/admin/job").await.status, 403);
    assert_eq!(app.request(Method::HEAD, "/v1/net/vpn", None, None).await.status, 401);
}

#[tokio::test]
async fn request_body_with_duplicate_member_returns_400() {
    let app = TestApp::start().await;
    let body = r#"{"name": "x", "scopes": ["read"], "scopes": ["read", "write"]}"#;
    let refused = app.raw(Method::POST, "/v1/token", Some("alice"), Some(("application/json", body.into()))).await;
    assert!(refused.expect(400)["detail"].as_str().is_some_and(|detail| detail.contains("\"scopes\" occurs twice")));
}

#[tokio::test]
async fn request_with_several_invalid_parameters_names_all() {
    let app = TestApp::start().await;
    let wrong = async |path: &str| {
        let problem = app.get(path, "admin").await.expect(400);
        assert_eq!(problem["code"], "malformed");
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|error| {
                format!("{} {}", error["in"].as_str().expect("in"), error["pointer"].as_str().expect("pointer"))
            })
            .collect::<Vec<_>>()
    };
    let all = "/v1/admin/job?surprise=1&state=lost&queue=a_b&min_age_seconds=-1&limit=0&cursor=x&kind=%00";
    let expected = ["surprise", "state", "queue", "kind", "min_age_seconds", "limit", "cursor"];
    assert_eq!(wrong(all).await, expected.map(|name| format!("query /{name}")));
    assert_eq!(wrong("/v1/job/0?wait=61").await, ["query /wait", "path /id"]);
    assert_eq!(wrong("/v1/job/1?wait=1&wait=2").await, ["query /wait"]);
    assert_eq!(wrong("/v1/admin/user/1?a=b").await, ["query /a"]);
    assert_eq!(wrong("/v1/admin/audit?from=2026-13-01T00:00:00Z").await, ["query /from"], "only the operation knows");
    assert_eq!(wrong("/v1/admin/job?limit=%2B5").await, ["query /limit"]);
}
