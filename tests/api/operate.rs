//! Operations of staff on jobs, queues and workers: over HTTP and by the command line, which is another process.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use reqwest::Method;
use serde_json::{Value, json};
use uncloud_wire::JobError;

use crate::app::{HOST, TestApp, new_key};

const BILLING: &str = "billing";

impl TestApp {
    async fn patch(&self, path: &str, body: Value) -> Value {
        self.request(Method::PATCH, path, Some("admin"), Some(body)).await.expect(200)
    }

    async fn job(&self, resource: &Value) -> Value {
        self.get(&format!("/v1/admin/job/{}", resource["job"]["id"]), "admin").await.expect(200)
    }

    /// Runs `uncloud` on this database, and reads its JSON if it prints any.
    pub async fn cli(&self, args: &[&str]) -> Result<Value, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uncloud"));
        command.args(args).env_clear().env("DATABASE_URL", self.database_url.expose());
        let output = tokio::task::spawn_blocking(move || command.output().expect("uncloud")).await.expect("no panic");
        let text = String::from_utf8(output.stdout).expect("text");
        if output.status.success() {
            Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// A worker that first refuses, and obeys when it is allowed to.
    fn reluctant_worker(&self) -> Arc<AtomicBool> {
        let willing = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&willing);
        self.worker(HOST, move |desired| {
            if asked.load(Ordering::SeqCst) {
                Ok(json!({ "applied_generation": desired["generation"] }))
            } else {
                Err(JobError::Fail("port 51820 is taken".into()))
            }
        });
        willing
    }
}

#[tokio::test]
async fn job_after_failure_has_hint_and_succeeds_when_retried() {
    let app = TestApp::start().await;
    let willing = app.reluctant_worker();
    let pool = app.handbook_pool().await;
    assert_eq!(app.finished(&pool).await["state"], "failed");
    let failed = app.job(&pool).await;
    let id = pool["job"]["id"].to_string();
    let hint = failed["hint"].as_str().expect("hint");
    assert!(hint.contains(&format!("uncloud job retry {id}")), "{hint}");
    assert_eq!(failed["attempts"][0]["outcome"], "failed");
    assert_eq!(failed["attempts"][0]["error"], "port 51820 is taken");
    assert!(failed["request_id"].as_str().is_some_and(|id| id.len() == 16), "{failed}");

    let dead = app.get("/v1/admin/job?state=failed&error=PORT", "admin").await.expect(200);
    assert_eq!(dead["items"][0]["id"], pool["job"]["id"]);
    let none = app.get("/v1/admin/job?state=failed&error=elsewhere", "admin").await.expect(200);
    assert_eq!(none["items"], json!([]));
    let listed =
        app.cli(&["job", "ls", "--state", "failed", "--error", "taken", "--output", "json"]).await.expect("list");
    assert_eq!(listed[0]["id"], pool["job"]["id"]);

    willing.store(true, Ordering::SeqCst);
    app.cli(&["job", "retry", "--all", "--queue", "elsewhere.example.ch"]).await.expect("nothing to do");
    assert_eq!(app.job(&pool).await["job"]["state"], "failed");
    app.cli(&["jobs", "retry", "--all", "--queue", HOST, "--error", "port"]).await.expect("told");
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
    let shown = app.cli(&["jobs", "show", &id]).await.expect("shown");
    let shown = shown.as_str().expect("a table");
    assert!(shown.contains("succeeded") && shown.contains("attempt 1") && shown.contains("is taken"), "{shown}");
    app.cli(&["jobs", "watch", &id]).await.expect("it has succeeded");
    let again = app.request(Method::POST, &format!("/v1/admin/job/{id}/retry"), Some("admin"), None).await;
    assert_eq!(again.expect(409)["code"], "job_not_retryable");
}

#[tokio::test]
async fn queue_while_paused_dispatches_nothing_until_resumed() {
    let app = TestApp::start().await;
    app.obedient_worker();
    let queue = format!("/v1/admin/queue/{HOST}");
    let paused = app.patch(&queue, json!({ "paused": "true" })).await;
    assert!(paused["paused_at"].is_string(), "{paused}");
    let pool = app.handbook_pool().await;
    let waiting = app.get(&format!("/v1/job/{}?wait=1", pool["job"]["id"]), "admin").await.expect(200);
    assert_eq!(waiting["state"], "queued");
    let hint = app.job(&pool).await["hint"].as_str().expect("hint").to_owned();
    assert!(hint.contains("is paused") && hint.contains("uncloud queue resume"), "{hint}");
    let stats = app.cli(&["inspect", "stats", "--output", "json"]).await.expect("stats");
    assert_eq!((&stats[0]["name"], &stats[0]["available"]), (&json!(HOST), &json!(1)));
    assert!(stats[0]["paused_at"].is_string(), "{stats}");
    app.cli(&["queue", "resume", HOST]).await.expect("resumed");
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
    app.cli(&["queue", "drain", HOST, "--timeout", "10"]).await.expect("nothing is under way");
    assert!(app.get(&queue, "admin").await.expect(200)["paused_at"].is_string());
}

#[tokio::test]
async fn job_revoke_while_queued_ends_waiting_requests() {
    let app = TestApp::start().await;
    app.patch(&format!("/v1/admin/queue/{HOST}"), json!({ "paused": true })).await;
    let pool = app.handbook_pool().await;
    let id = pool["job"]["id"].to_string();
    let path = format!("/v1/job/{id}?wait=30");
    let revoke = ["jobs", "revoke", id.as_str()];
    let (seen, revoked) = tokio::join!(app.get(&path, "admin"), app.cli(&revoke));
    revoked.expect("revoked");
    assert_eq!(seen.expect(200)["state"], "revoked");
    let again = app.request(Method::POST, &format!("/v1/admin/job/{id}/revoke"), Some("admin"), None).await;
    assert_eq!(again.expect(409)["code"], "job_ended");
    let network = app.network("alice", new_key()).await;
    let purged = app.request(Method::POST, &format!("/v1/admin/queue/{HOST}/purge"), Some("admin"), None).await;
    assert_eq!(purged.expect(200)["jobs"], 1);
    assert_eq!(app.finished(&network).await["state"], "revoked");
    assert_eq!(app.get("/v1/admin/job/1000000", "admin").await.status, 404);
}

#[tokio::test]
async fn worker_after_start_replies_to_ping_and_can_be_scaled() {
    let app = TestApp::start().await;
    let silent = app.cli(&["inspect", "ping"]).await.expect_err("nobody is there");
    assert!(silent.contains("uncloud-worker --queue"), "{silent}");
    app.obedient_worker();
    let pool = app.handbook_pool().await;
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
    let worker = loop {
        let workers = app.get(&format!("/v1/admin/worker?queue={HOST}"), "admin").await.expect(200);
        match workers["items"].get(0) {
            Some(worker) => break worker.clone(),
            None => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    };
    assert_eq!((&worker["concurrency"], &worker["alive"]), (&json!(4), &json!(true)));
    let responses = app.cli(&["inspect", "ping", "-Q", HOST, "--output", "json"]).await.expect("pong");
    assert_eq!(responses[0]["reply"], "pong");
    let path = format!("/v1/admin/worker/{}", worker["id"]);
    app.patch(&path, json!({ "concurrency": "7" })).await;
    let start = std::time::Instant::now();
    while app.get(&path, "admin").await.expect(200)["concurrency"] != 7 {
        assert!(start.elapsed().as_secs() < 20, "the worker does not obey");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for what in ["active", "reserved", "scheduled", "registered", "stats", "report"] {
        app.cli(&["inspect", what, "--output", "json"]).await.expect(what);
    }
    let unknown = app.request(Method::PATCH, "/v1/admin/worker/999", Some("admin"), Some(json!({ "concurrency": 2 })));
    assert_eq!(unknown.await.status, 404);
}

#[tokio::test]
async fn queue_update_with_invalid_fields_is_refused() {
    let app = TestApp::start().await;
    let path = format!("/v1/admin/queue/{BILLING}");
    let wrong = json!({ "paused": "yes", "rate_limit": -1, "rate_period_seconds": 0, "colour": 1 });
    let response = app.request(Method::PATCH, &path, Some("admin"), Some(wrong)).await;
    let fields = response.wrong_fields(422);
    for field in ["/paused", "/rate_limit", "/rate_period_seconds", "/colour"] {
        assert!(fields.iter().any(|wrong| wrong == field), "{field} in {fields:?}");
    }
    let alone = app.request(Method::PATCH, &path, Some("admin"), Some(json!({ "rate_period_seconds": 60 }))).await;
    assert_eq!(alone.wrong_fields(422), ["/rate_period_seconds"]);
    assert_eq!(app.get(&path, "admin").await.status, 404, "nothing was written");
    let limited = app.patch(&path, json!({ "rate_limit": 10, "rate_period_seconds": 60 })).await;
    assert_eq!((&limited["rate_limit"], &limited["rate_period_seconds"]), (&json!(10), &json!(60)));
    let lifted = app.patch(&path, json!({ "rate_limit": 0 })).await;
    assert!(lifted.get("rate_limit").is_none(), "{lifted}");
    assert_eq!(app.get("/v1/admin/queue/a..b", "admin").await.status, 400);
}
