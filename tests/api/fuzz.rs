//! schemathesis: what it makes up from the document, sent to a server that has one object of every noun.

use std::process::Stdio;

use tokio::process::Command;

use crate::{app::PASSWORD, world::World};

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run ./dev fuzz"))
}

/// Customers get one answer, 403, wherever staff are meant; `auth` asks for that. Here it would only take its time.
const FOR_STAFF: &str = "^(/v1/admin/|/metrics)";

async fn fuzz(user: &str, without: &[&str]) {
    let world = World::new().await;
    world.app.obedient_worker();
    let output = Command::new(setting("SCHEMATHESIS"))
        .args([
            "--config-file",
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/schemathesis.toml"),
            "--no-color",
            "run",
        ])
        .arg(world.app.url("/openapi.json"))
        .args(["--auth", &format!("{user}:{PASSWORD}")])
        .args(without)
        .args(["--seed", &setting("FUZZ_SEED"), "--max-examples", &setting("FUZZ_EXAMPLES")])
        .stdin(Stdio::null())
        .output()
        .await
        .expect("schemathesis");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "as {user}:\n{report}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
#[ignore = "needs schemathesis: ./dev fuzz"]
async fn schemathesis_finds_nothing_as_a_customer() {
    fuzz("alice", &["--exclude-path-regex", FOR_STAFF]).await;
}

#[tokio::test]
#[ignore = "needs schemathesis: ./dev fuzz"]
async fn schemathesis_finds_nothing_as_staff() {
    fuzz("admin", &[]).await;
}
