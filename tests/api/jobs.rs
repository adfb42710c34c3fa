//! The runner: from a row through Redis to a worker and back.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use redis::AsyncCommands as _;
use serde_json::{Value, json};
use uncloud_wire::{JobError, Kind};

use crate::app::{HOST, TestApp, new_key};

const JOBS: &str = "uncloud:{vpn-1.example.ch}:jobs";
const EVENTS: &str = "uncloud:{vpn-1.example.ch}:events";

/// Of the dispatch of a job, once there is one.
async fn fence_of(app: &TestApp, job: i64) -> i64 {
    for _ in 0..1000 {
        let fence: Option<i64> = sqlx::query_scalar("select fence from job where job_id = $1")
            .bind(job)
            .fetch_one(&app.pool)
            .await
            .expect("a job");
        match fence {
            Some(fence) => return fence,
            None => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
    panic!("job {job} is never dispatched");
}

#[tokio::test]
async fn job_after_success_leaves_nothing_in_redis() {
    let app = TestApp::start().await;
    app.obedient_worker();
    let pool = app.handbook_pool().await;
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
    let network = app.network("alice", new_key()).await;
    let job = app.finished(&network).await;
    assert_eq!((&job["state"], &job["attempt"]), (&json!("succeeded"), &json!(1)));
    let mut redis = app.redis_connection().await;
    assert_eq!(redis.xlen::<_, usize>(JOBS).await.expect("length"), 0);
    // The event goes after its commit, which is what `finished` saw: wait for it.
    for _ in 0..200 {
        if redis.xlen::<_, usize>(EVENTS).await.expect("length") == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the events stream is not emptied");
}

#[tokio::test]
async fn requests_for_one_pool_join_waiting_job_and_run_one_at_a_time() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await;
    let networks = futures_util::future::join_all((0..20).map(|_| app.network("admin", new_key()))).await;
    let running = Arc::new(AtomicU32::new(0));
    let most = Arc::new(AtomicU32::new(0));
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    app.worker(HOST, move |desired| {
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let peers = desired["state"]["present"]["peers"].as_array().map_or(0, Vec::len);
        now.fetch_sub(1, Ordering::SeqCst);
        Ok(json!({ "applied_generation": desired["generation"], "peers": peers }))
    });
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
    for network in &networks {
        assert_eq!(app.finished(network).await["state"], "succeeded");
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
    let jobs: i64 = sqlx::query_scalar("select count(*) from job").fetch_one(&app.pool).await.expect("a count");
    assert!(jobs <= 3, "{jobs} jobs for 21 changes: they join the one that waits");
}

#[tokio::test]
async fn job_after_failed_attempts_is_retried_and_succeeds() {
    let app = TestApp::start().await;
    let tries = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&tries);
    app.worker(HOST, move |desired| {
        if count.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(JobError::Retry("wg is busy\nnot a new line".into()));
        }
        Ok(json!({ "applied_generation": desired["generation"] }))
    });
    let pool = app.handbook_pool().await;
    let job = app.finished(&pool).await;
    assert_eq!((&job["state"], &job["attempt"]), (&json!("succeeded"), &json!(3)));
    assert!(job.get("error").is_none(), "{job}");
}

#[tokio::test]
async fn job_after_redis_is_flushed_still_succeeds() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await; // no worker yet: the job waits in Redis
    let mut redis = app.redis_connection().await;
    while redis.xlen::<_, usize>(JOBS).await.expect("length") == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let _: () = redis::cmd("FLUSHALL").query_async(&mut redis).await.expect("emptied");
    app.obedient_worker();
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
}

#[tokio::test]
async fn job_after_redis_restart_needs_one_attempt() {
    let mut app = TestApp::start().await;
    app.obedient_worker();
    let pool = app.handbook_pool().await;
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
    app.redis.stop();
    app.redis.resume();
    let network = app.network("alice", new_key()).await;
    let job = app.finished(&network).await;
    // A job that went out on the old connection would come back seven seconds later, by the sweep.
    assert_eq!((&job["state"], &job["attempt"]), (&json!("succeeded"), &json!(1)));
}

#[tokio::test]
async fn event_of_another_queue_or_dispatch_changes_nothing() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await;
    let id = pool["job"]["id"].as_i64().expect("a job");
    let mut redis = app.redis_connection().await;
    while redis.xlen::<_, usize>(JOBS).await.expect("length") == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // A second host whose events are read too, because it has a job of its own.
    let other = json!({ "network": "2001:db8::/40", "subnetwork_size": 48, "vpn_hostname": "vpn-2.example.ch" });
    let other = app.post("/v1/admin/vpnpool", "admin", other).await.expect(201);
    let forged = "uncloud:{vpn-2.example.ch}:events";
    let mut add = async |stream: &str, job: i64, fence: i64, body: &str| {
        let fields = [
            ("job", job.to_string()),
            ("fence", fence.to_string()),
            ("outcome", "succeeded".into()),
            ("body", body.into()),
        ];
        let _: String = redis.xadd(stream, "*", &fields).await.expect("added");
    };
    let fence = fence_of(&app, id).await;
    add(forged, id, fence, "{\"applied_generation\": 1}").await;
    // As of a job of the same number before the database was restored from a backup.
    add(EVENTS, id, fence - 1_000_000, "{\"applied_generation\": 1}").await;
    add(EVENTS, 999_999, 1, "{}").await;
    let own = other["job"]["id"].as_i64().expect("a job");
    add(forged, own, fence_of(&app, own).await, "{\"applied_generation\": 0}").await; // read after the forged one
    assert_eq!(app.finished(&other).await["state"], "succeeded");
    app.obedient_worker();
    let job = app.finished(&pool).await;
    assert_eq!((&job["state"], &job["worker"]), (&json!("succeeded"), &json!("test")));
}

#[tokio::test]
async fn job_queued_after_unreadable_stream_entries_succeeds() {
    let app = TestApp::start().await;
    app.obedient_worker();
    let mut redis = app.redis_connection().await;
    let _: String = redis.xadd(JOBS, "*", &[("nonsense", "\u{fffd}")]).await.expect("added");
    let _: String = redis.xadd(EVENTS, "*", &[("nonsense", "x")]).await.expect("added");
    let pool = app.handbook_pool().await;
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
    let mut redis = app.redis_connection().await;
    assert_eq!(redis.xlen::<_, usize>(JOBS).await.expect("length"), 0, "the unreadable entry is gone");
}

#[tokio::test]
async fn report_with_unstorable_values_does_not_stop_later_reports() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let other = "uncloud:{vpn-2.example.ch}:reports";
    let hostile = json!({ "network": "2001:db8::/40", "subnetwork_size": 48, "vpn_hostname": "vpn-2.example.ch" });
    app.post("/v1/admin/vpnpool", "admin", hostile).await.expect(201); // so that its reports are read
    let mut redis = app.redis_connection().await;
    // A peer that comes twice has two states at once.
    let network = app.network("alice", new_key()).await;
    let peer = json!({ "public_key": network["wireguard_public_key"], "received_bytes": 1, "sent_bytes": 1, "last_handshake_at": null });
    let twice = json!({ "peers": [peer, peer] });
    let queue = HOST.parse().expect("a queue");
    let status = uncloud::queue::NewJob::of(Kind::VpnStatus, &queue, json!({ "pool_id": 1 }));
    let mut tx = app.pool.acquire().await.expect("a connection");
    let job = uncloud::queue::enqueue(&mut tx, &status).await.expect("enqueued");
    let status = uncloud::queue::enqueue(&mut tx, &status).await.expect("enqueued");
    uncloud::queue::wake_relays(&app.pool).await.expect("awake");
    let fence = fence_of(&app, status).await.to_string();
    let fields =
        [("job", status.to_string()), ("fence", fence), ("outcome", "succeeded".into()), ("body", twice.to_string())];
    let _: String = redis.xadd(EVENTS, "*", &fields).await.expect("added");
    let report = |instance: &str, started_at: &str| {
        json!({ "instance": instance, "name": "w", "version": "1", "concurrency": 1, "active": [], "kinds": [],
            "started_at": started_at, "succeeded": u64::MAX, "failed": 0, "leases_lost": 0, "rss_bytes": 0, "stopped": false })
    };
    for (instance, started_at) in [("old", "-262143-01-01T00:00:00Z"), ("late", "+262142-01-01T00:00:00Z")] {
        let _: String =
            redis.xadd(other, "*", &[("worker", report(instance, started_at).to_string())]).await.expect("added");
    }
    let progress = json!({ "done": 1, "total": 2, "message": "\u{0}" }).to_string();
    let of_job = [("progress", progress), ("job", job.to_string()), ("fence", i64::MAX.to_string())];
    let _: String = redis.xadd(other, "*", &of_job).await.expect("added");
    let worker = report("good", "2026-01-01T00:00:00Z").to_string();
    let _: String = redis.xadd(other, "*", &[("worker", worker)]).await.expect("added");
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..300 {
        seen = sqlx::query_scalar("select instance from worker").fetch_all(&app.pool).await.expect("workers");
        if !seen.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(seen, ["good"], "what comes after the others is read");
    for _ in 0..300 {
        let state: String = sqlx::query_scalar("select state from job where job_id = $1")
            .bind(status)
            .fetch_one(&app.pool)
            .await
            .expect("a job");
        if state == "succeeded" {
            break;
        }
        assert!(["dispatched", "running"].contains(&state.as_str()), "{state}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // A wish to be left alone for longer than time lasts is cut down to one that rows can hold.
    let fence = fence_of(&app, job).await.to_string();
    let snooze =
        [("job", job.to_string()), ("fence", fence), ("outcome", "snooze".into()), ("body", "for ever".into())];
    let fields = [&snooze[..], &[("after", u64::MAX.to_string())]].concat();
    let _: String = redis.xadd(EVENTS, "*", &fields).await.expect("added");
    for _ in 0..300 {
        let run_at: Option<i32> = sqlx::query_scalar(
            "select extract(year from run_at)::integer from job where job_id = $1 and run_at > now() + interval '1 day'",
        )
        .bind(job)
        .fetch_optional(&app.pool)
        .await
        .expect("a job");
        if let Some(year) = run_at {
            assert!((2070..2100).contains(&year), "{year}");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the job is never put off");
}

#[tokio::test]
async fn job_with_malformed_result_fails_with_explanation() {
    let app = TestApp::start().await;
    app.worker(HOST, |_| Ok(json!("done")));
    let pool = app.handbook_pool().await;
    let job = app.finished(&pool).await;
    assert_eq!(job["state"], "failed");
    assert!(job["error"].as_str().is_some_and(|error| error.contains("same version")), "{job}");
}

#[tokio::test]
async fn job_long_poll_without_change_returns_after_timeout() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await; // no worker
    let started = std::time::Instant::now();
    let job: Value = app.get(&format!("/v1/job/{}?wait=1", pool["job"]["id"]), "admin").await.expect(200);
    assert!(["queued", "dispatched"].contains(&job["state"].as_str().expect("text")), "{job}");
    assert!(started.elapsed().as_secs() >= 1, "it waited");
}
