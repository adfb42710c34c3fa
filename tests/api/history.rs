//! A job's life, as staff see it afterwards.

use std::time::Duration;

use redis::AsyncCommands as _;
use serde_json::{Value, json};

use crate::app::{HOST, TestApp};

impl TestApp {
    /// Reports on a job's present dispatch as a worker does.
    async fn worker_says(&self, job: i64, outcome: &str, body: &str) {
        let fence: i64 = sqlx::query_scalar("select fence from job where job_id = $1")
            .bind(job)
            .fetch_one(&self.pool)
            .await
            .expect("dispatched");
        let fields = [
            ("job", job.to_string()),
            ("fence", fence.to_string()),
            ("outcome", outcome.into()),
            ("body", body.into()),
            ("worker", "worker1@vpn-1".into()),
            ("took", "1500".into()),
        ];
        let mut redis = self.redis_connection().await;
        let _: String = redis.xadd(format!("uncloud:{{{HOST}}}:events"), "*", &fields).await.expect("added");
    }

    /// The job's history, when it has that many steps.
    async fn history(&self, job: i64, steps: usize) -> Vec<Value> {
        let mut last = Value::Null;
        for _ in 0..1500 {
            last = self.get(&format!("/v1/admin/job/{job}"), "admin").await.expect(200)["history"].clone();
            match last.as_array() {
                Some(history) if history.len() >= steps => return history.clone(),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        panic!("not {steps} steps: {last}");
    }
}

#[tokio::test]
async fn job_history_of_retried_job_contains_every_state() {
    let app = TestApp::start().await;
    let job = app.handbook_pool().await["job"]["id"].as_i64().expect("a job");
    app.history(job, 2).await;
    app.worker_says(job, "running", "").await;
    app.history(job, 3).await;
    app.worker_says(job, "retry", "wg is busy").await;
    app.history(job, 5).await; // dispatched again, within a second
    app.worker_says(job, "succeeded", "{\"applied_generation\": 1}").await;
    let history = app.history(job, 6).await;
    let what: Vec<_> = history.iter().map(|step| step["event"].as_str().expect("text")).collect();
    assert_eq!(what, ["queued", "dispatched", "running", "retry", "dispatched", "succeeded"]);
    let attempts: Vec<_> = history.iter().map(|step| step["attempt"].as_i64()).collect();
    assert_eq!(attempts, [None, Some(1), Some(1), Some(1), Some(2), Some(2)]);
    for step in [2, 3, 5] {
        assert_eq!(history[step]["worker"], "worker1@vpn-1", "{:?}", history[step]);
    }
    assert_eq!(history[3]["error"], "wg is busy");
    assert!(history[5].get("error").is_none(), "{:?}", history[5]);
    let times: Vec<_> = history.iter().map(|step| step["at"].as_str().expect("a time").to_owned()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let detail = app.get(&format!("/v1/admin/job/{job}"), "admin").await.expect(200);
    assert_eq!(detail["attempts"][0]["duration_ms"], 1500);
    // The same by the command line.
    let shown = app.cli(&["job", "show", &job.to_string()]).await.expect("shown");
    let shown = shown.as_str().expect("a table");
    assert!(shown.contains(" retry, attempt 1, worker1@vpn-1: wg is busy"), "{shown}");
    assert!(shown.contains(" succeeded, attempt 2, worker1@vpn-1"), "{shown}");
    let shown = app.cli(&["job", "show", &job.to_string(), "--output", "json"]).await.expect("JSON");
    assert_eq!(shown, detail, "the API's object");
}

#[tokio::test]
async fn job_history_of_job_revoked_while_queued_ends_with_revoked() {
    let app = TestApp::start().await;
    let path = format!("/v1/admin/queue/{HOST}");
    let paused = Some(json!({ "paused": true }));
    app.request(reqwest::Method::PATCH, &path, Some("admin"), paused).await.expect(200);
    let job = app.handbook_pool().await["job"]["id"].as_i64().expect("a job");
    app.cli(&["job", "revoke", &job.to_string()]).await.expect("revoked");
    let history = app.history(job, 2).await;
    let what: Vec<_> = history.iter().map(|step| step["event"].as_str().expect("text")).collect();
    assert_eq!(what, ["queued", "revoked"]);
    assert!(history[1].get("attempt").is_none() && history[1].get("worker").is_none(), "{history:?}");
    assert_eq!(history[1]["error"], "revoked by staff");
}
