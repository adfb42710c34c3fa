//! The document, the docs, health.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::TestApp;

#[test]
fn document_as_committed_equals_the_served_one() {
    let committed = include_str!("../../openapi/openapi.json");
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let served = runtime.block_on(async { uncloud::server::document().expect("a document") });
    assert!(
        committed == served,
        "openapi/openapi.json is not what the server serves; run ./dev spec and look at the diff"
    );
}

#[tokio::test]
async fn document_and_docs_without_internet_are_served() {
    let app = TestApp::start().await;
    let document = app.request(Method::GET, "/openapi.json", None, None).await.expect(200);
    let committed: Value = serde_json::from_str(include_str!("../../openapi/openapi.json")).expect("JSON");
    assert!(document == committed, "served as committed");
    let docs = app.request(Method::GET, "/docs", None, None).await;
    assert_eq!(docs.status, 200);
    assert!(!docs.text.contains("src=\"http"), "nothing is loaded from elsewhere");
    for asset in ["/docs/start.js", "/docs/swagger-ui.js", "/docs/swagger-ui.css"] {
        assert_eq!(app.request(Method::GET, asset, None, None).await.status, 200, "{asset}");
    }
}

/// As for a browser that understands brotli; all do over TLS.
#[tokio::test]
async fn document_and_docs_are_small_over_the_wire() {
    let app = TestApp::start().await;
    let client = reqwest::Client::new();
    let size = async |path: &str| {
        let response =
            client.get(app.url(path)).header("accept-encoding", "gzip, br").send().await.expect("a response");
        assert_eq!(response.headers()["content-encoding"], "br", "{path}");
        response.bytes().await.expect("a body").len()
    };
    let document = size("/openapi.json").await;
    assert!(document <= 30_000, "{document} bytes");
    let mut page = document;
    for path in ["/docs", "/docs/start.js", "/docs/swagger-ui.js", "/docs/swagger-ui.css"] {
        page += size(path).await;
    }
    assert!(page <= 420_000, "{page} bytes");
}

/// A place in a document, and its text.
fn everywhere<'a>(value: &'a Value, at: &str, look: &mut impl FnMut(&str, &'a serde_json::Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            look(at, map);
            map.iter().for_each(|(name, value)| everywhere(value, &format!("{at}/{name}"), look));
        }
        Value::Array(items) => items.iter().for_each(|item| everywhere(item, at, look)),
        _ => {}
    }
}

#[tokio::test]
async fn document_of_each_operation_states_its_security() {
    let app = TestApp::start().await;
    let document = app.request(Method::GET, "/openapi.json", None, None).await.expect(200);
    let mut without_credentials = Vec::new();
    everywhere(&document["paths"], "", &mut |at, operation| {
        if operation.contains_key("operationId") {
            let ways = operation.get("security").unwrap_or(&document["security"]).as_array();
            let ways = ways.unwrap_or_else(|| panic!("{at} does not say it"));
            if ways.is_empty() || ways.contains(&json!({})) {
                without_credentials.push(operation["operationId"].as_str().expect("an id"));
            }
            assert!(operation["responses"]["default"].is_object(), "{at}: wrong credentials are refused everywhere");
        }
    });
    let public = app.request(Method::GET, "/api", None, None).await.expect(200);
    let public: Vec<&str> =
        public["endpoints"].as_array().expect("a list").iter().filter_map(|one| one["operation_id"].as_str()).collect();
    assert_eq!(without_credentials, public);
    for path in ["/healthz", "/api", "/v1/product/1"] {
        assert_eq!(app.request(Method::GET, path, Some("nobody"), None).await.status, 401, "{path}");
    }
}

#[test]
fn document_identifiers_in_all_schemas_have_one_type() {
    let document: Value = serde_json::from_str(include_str!("../../openapi/openapi.json")).expect("JSON");
    let mut ids = 0;
    everywhere(&document["components"]["schemas"], "", &mut |at, schema| {
        let is_id = at.ends_with("/properties/id") || (at.contains("/properties/") && at.ends_with("_id"));
        if is_id && schema.get("type") != Some(&"string".into()) {
            assert_eq!(schema["allOf"], json!([{ "$ref": "#/components/schemas/Id" }]), "{at}");
            ids += 1;
        }
    });
    assert!(ids > 30, "{ids}");
}

#[test]
fn document_in_all_parts_contains_no_null() {
    let document: Value = serde_json::from_str(include_str!("../../openapi/openapi.json")).expect("JSON");
    everywhere(&document, "", &mut |at, map| {
        for (name, value) in map {
            assert!(!value.is_null(), "{at}/{name}: no part of a document may be null");
        }
    });
}

#[tokio::test]
async fn request_during_redis_outage_is_accepted_and_job_runs_later() {
    let mut app = TestApp::start().await;
    let ready = app.request(Method::GET, "/readyz", None, None).await.expect(200);
    assert_eq!((&ready["postgres"], &ready["redis"]), (&"ok".into(), &"ok".into()));
    app.redis.stop();
    // What it said just now is good for a second.
    let end = Instant::now() + Duration::from_secs(10);
    let mut ready = Value::Null;
    while ready["redis"] != "unavailable" {
        assert!(Instant::now() < end, "{ready}");
        ready = app.request(Method::GET, "/readyz", None, None).await.expect(200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ready["postgres"], "ok");
    let pool = app.handbook_pool().await;
    app.redis.resume();
    app.obedient_worker();
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
}
