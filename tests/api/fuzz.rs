//! schemathesis: what it makes up from the document, sent to a server that has one object of every noun.

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use tokio::process::Command;
use uncloud_testkit::programs;

use crate::{
    app::{PASSWORD, TestApp},
    world::World,
};

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run ./dev fuzz"))
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

async fn fuzz(user: &str, without: &[&str]) {
    let world = World::new().await;
    let hosts = workers_for_all(&world.app);
    let folder = tempfile::tempdir().expect("a folder"); // what it remembers would make the next run another one
    let files = programs::repository().join("tests/fuzz");
    let schemathesis = Command::new(setting("SCHEMATHESIS"))
        .current_dir(folder.path())
        .env("SCHEMATHESIS_HOOKS", files.join("hooks.py"))
        .arg("--config-file")
        .arg(files.join("schemathesis.toml"))
        .args(["--no-color", "run"])
        .arg(world.app.url("/openapi.json"))
        .args(["--auth", &format!("{user}:{PASSWORD}")])
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
    fuzz("alice", &["--exclude-path-regex", FOR_STAFF]).await;
}

#[tokio::test]
#[ignore = "needs schemathesis: ./dev fuzz"]
async fn schemathesis_as_staff_finds_nothing() {
    fuzz("admin", &[]).await;
}
