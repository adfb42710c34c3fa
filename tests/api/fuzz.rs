//! schemathesis: what it makes up from the document, sent to a server that has one object of every noun.

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use serde_json::json;
use tokio::process::Command;
use uncloud_testkit::programs;

use crate::{
    app::{PASSWORD, TestApp},
    world::World,
};

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run ./dev fuzz"))
}

fn is_seed_odd() -> bool {
    setting("FUZZ_SEED").parse::<u64>().expect("a number") % 2 == 1
}

/// Customers get one response, 403, wherever staff are meant; `auth` asks for that. Here it would only take its time.
const FOR_STAFF: &str = "^(/v1/admin/|/metrics)";

/// A worker for every host that pools are made up for: what a job deletes is gone only when it has run.
async fn workers_for_all(app: &TestApp) {
    let mut known = BTreeSet::new();
    loop {
        let hosts = sqlx::query_scalar::<_, String>("select distinct vpn_hostname from vpn_pool").fetch_all(&app.pool);
        for host in hosts.await.expect("hosts") {
            if known.insert(host.clone()) {
                app.obedient_worker_of(&host);
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Signs in with a token or with the password; customer and staff do so in turn, from seed to seed.
async fn fuzz(user: &str, without: &[&str], with_token: bool) {
    let world = World::new().await;
    let scopes = if user == "admin" { json!(["read", "write", "staff"]) } else { json!(["read", "write"]) };
    let token = world.app.post("/v1/token", user, json!({ "name": "fuzz", "scopes": scopes })).await.expect(201);
    let credentials = if with_token {
        let bearer = format!("Authorization: Bearer {}", token["secret"].as_str().expect("a secret"));
        // Only a password creates tokens, so nothing could be tried there.
        vec!["--header".to_owned(), bearer, "--exclude-operation-id".to_owned(), "token_create".to_owned()]
    } else {
        vec!["--auth".to_owned(), format!("{user}:{PASSWORD}")]
    };
    let hosts = workers_for_all(&world.app);
    let folder = tempfile::tempdir().expect("a folder"); // what it remembers would make the next run another one
    let files = programs::repository().join("tests/fuzz");
    let schemathesis = Command::new(setting("SCHEMATHESIS"))
        .current_dir(folder.path())
        .env("SCHEMATHESIS_HOOKS", files.join("hooks.py"))
        .env("FUZZ_TOKEN", token["id"].to_string())
        .arg("--config-file")
        .arg(files.join("schemathesis.toml"))
        .args(["--no-color", "run"])
        .arg(world.app.url("/openapi.json"))
        .args(credentials)
        .args(without)
        .args(["--seed", &setting("FUZZ_SEED"), "--max-examples", &setting("FUZZ_EXAMPLES")])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::select! {
        output = schemathesis => output.expect("schemathesis"),
        () = hosts => unreachable!("it goes on for ever"),
    };
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "as {user}:\n{report}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
#[ignore = "needs schemathesis: ./dev fuzz"]
async fn schemathesis_as_customer_finds_nothing() {
    fuzz("alice", &["--exclude-path-regex", FOR_STAFF], is_seed_odd()).await;
}

#[tokio::test]
#[ignore = "needs schemathesis: ./dev fuzz"]
async fn schemathesis_as_staff_finds_nothing() {
    fuzz("admin", &[], !is_seed_odd()).await;
}
