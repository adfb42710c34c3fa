//! The document, the docs, health.

use reqwest::Method;

use crate::app::TestApp;

#[test]
fn the_committed_document_is_the_served_one() {
    let committed = include_str!("../../openapi/openapi.json");
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let served = runtime.block_on(async { uncloud::http::document().expect("a document") });
    assert!(
        committed == served,
        "openapi/openapi.json is not what the server serves; run ./dev spec and look at the diff"
    );
}

#[tokio::test]
async fn document_and_docs_are_served_without_internet() {
    let app = TestApp::start().await;
    let document = app.request(Method::GET, "/openapi.json", None, None).await;
    assert!(document.text == include_str!("../../openapi/openapi.json"), "served as committed");
    let docs = app.request(Method::GET, "/docs", None, None).await;
    assert_eq!(docs.status, 200);
    assert!(docs.text.contains("\"Problem\""), "the docs show the corrected document");
    assert!(!docs.text.contains("src=\"http"), "nothing is loaded from elsewhere");
}

#[tokio::test]
async fn without_redis_requests_are_still_accepted() {
    let mut app = TestApp::start().await;
    let ready = app.request(Method::GET, "/readyz", None, None).await.expect(200);
    assert_eq!((&ready["postgres"], &ready["redis"]), (&"ok".into(), &"ok".into()));
    app.redis.stop();
    let ready = app.request(Method::GET, "/readyz", None, None).await.expect(200);
    assert_eq!((&ready["postgres"], &ready["redis"]), (&"ok".into(), &"unavailable".into()));
    let pool = app.handbook_pool().await;
    app.redis.resume().expect("Redis");
    app.obedient_worker();
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
}
