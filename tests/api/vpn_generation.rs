//! Hosts that are ahead of the database.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU32, Ordering},
};

use serde_json::json;

use crate::app::{HOST, TestApp, new_key};

#[tokio::test]
async fn host_with_generation_far_ahead_is_overtaken_or_refused() {
    // A day, as of a control plane whose clock was wrong; and more than any clock is.
    for (ahead, state) in [(86_400_000_000, "active"), (i64::MAX / 2, "pending")] {
        let app = TestApp::start().await;
        let applied = Arc::new(AtomicI64::new(-1));
        let calls = Arc::new(AtomicU32::new(0));
        let (host, count) = (Arc::clone(&applied), Arc::clone(&calls));
        app.worker(HOST, move |desired| {
            count.fetch_add(1, Ordering::SeqCst);
            let generation = desired["generation"].as_i64().unwrap_or_default();
            let before = host.load(Ordering::SeqCst);
            let before = if before < 0 { generation.saturating_add(ahead) } else { before };
            host.store(generation.max(before), Ordering::SeqCst);
            Ok(json!({ "applied_generation": generation.max(before), "superseded": before > generation }))
        });
        app.handbook_pool().await;
        let network = app.network("alice", new_key()).await;
        let path = format!("/v1/net/vpn/{}", network["id"]);
        for _ in 0..300 {
            let over: i64 =
                sqlx::query_scalar("select count(*) from job where state in ('queued', 'dispatched', 'running')")
                    .fetch_one(&app.pool)
                    .await
                    .expect("a count");
            if over == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let shown = app.get(&path, "alice").await.expect(200);
        let failed = if state == "pending" { "failed" } else { state };
        assert_eq!(shown["status"], failed, "{shown}");
        assert!(calls.load(Ordering::SeqCst) <= 4, "{} applications", calls.load(Ordering::SeqCst));
        if failed == "failed" {
            assert!(shown["status_reason"].as_str().is_some_and(|reason| reason.contains("a year ahead")), "{shown}");
        }
    }
}

#[tokio::test]
async fn host_ahead_of_restored_database_is_overtaken() {
    let app = TestApp::start().await;
    let ahead = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&ahead);
    // The host once had a state of the lost future: its first response names a generation the database never had.
    app.worker(HOST, move |desired| {
        let generation = desired["generation"].as_i64().unwrap_or_default();
        let response = if count.fetch_add(1, Ordering::SeqCst) == 0 { generation + 1 } else { generation };
        Ok(json!({ "applied_generation": response, "superseded": response > generation }))
    });
    let network = {
        app.handbook_pool().await;
        app.network("alice", new_key()).await
    };
    let path = format!("/v1/net/vpn/{}", network["id"]);
    for _ in 0..300 {
        if app.get(&path, "alice").await.expect(200)["status"] == "active" && ahead.load(Ordering::SeqCst) >= 2 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("never active: {}", app.get(&path, "alice").await.text);
}
