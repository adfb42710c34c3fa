//! Backup and restore as packaging/README.md says it.

use std::{
    process::Command,
    sync::{Arc, Mutex},
};

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use sqlx::PgPool;
use uncloud::{
    embedded::{
        Programs,
        throwaway::{ThrowawayPostgres, ThrowawayRedis},
    },
    vpn::{self, key::PrivateKey},
};

use crate::control_plane::{ControlPlane, HOST, fill};

/// What a host does with a desired state: the newest generation wins, and it says which one it has.
#[derive(Clone, Default)]
struct Applied(Arc<Mutex<Value>>);

impl Applied {
    fn apply(&self, desired: Value) -> Value {
        let mut applied = self.0.lock().expect("no panic");
        let superseded = applied["generation"].as_i64() > desired["generation"].as_i64();
        if !superseded {
            *applied = desired;
        }
        json!({ "applied_generation": applied["generation"], "superseded": superseded })
    }

    fn generation_and_peers(&self) -> (i64, usize) {
        let applied = self.0.lock().expect("no panic");
        let peers = applied["state"]["present"]["peers"].as_array().map_or(0, Vec::len);
        (applied["generation"].as_i64().unwrap_or_default(), peers)
    }
}

fn run(program: &str, args: &[&str]) {
    let folder = Programs::find().expect("PostgreSQL").postgres;
    let output = Command::new(folder.with_file_name(program)).args(args).output().expect(program);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn network(control_plane: &ControlPlane) -> Value {
    let key = PrivateKey::generate(&SystemRandom::new()).expect("random numbers").public_key();
    let body = json!({ "network_size": 48, "wireguard_public_key": key.to_string() });
    let network = control_plane.post("/v1/net/vpn", &body).await;
    assert_eq!(control_plane.finished(&network).await["state"], "succeeded");
    network
}

#[tokio::test]
async fn a_restored_database_wins_over_what_hosts_have_applied() {
    let server = tokio::task::spawn_blocking(ThrowawayPostgres::start).await.expect("no panic").expect("PostgreSQL");
    let mut redis = ThrowawayRedis::start().expect("Redis");
    let url = server.url("uncloud");
    fill(&PgPool::connect(url.expose()).await.expect("database")).await;
    let host = Applied::default();
    let work = |host: &Applied| {
        let host = host.clone();
        move |desired| host.apply(desired)
    };

    let control_plane = ControlPlane::start(url.clone(), redis.url(), None).await;
    control_plane.worker(&redis.url(), None, work(&host));
    let body = json!({ "network": "2a0a:e5c1:200::/40", "subnetwork_size": 48, "vpn_hostname": HOST });
    let pool = control_plane.post("/v1/admin/vpnpool", &body).await;
    control_plane.finished(&pool).await;
    let kept = network(&control_plane).await;
    let folder = tempfile::tempdir().expect("folder");
    let dump = folder.path().join("uncloud.dump").display().to_string();
    run("pg_dump", &["--format=custom", &format!("--file={dump}"), url.expose()]);
    let lost = network(&control_plane).await;
    let (ahead, peers) = host.generation_and_peers();
    assert_eq!(peers, 2);
    control_plane.stop().await;

    redis.stop();
    redis.resume().expect("empty");
    let restored = server.create_database("restored", None).await.expect("database");
    let target = format!("--dbname={}", restored.expose());
    run("pg_restore", &["--exit-on-error", "--no-owner", &target, &dump]);
    let control_plane = ControlPlane::start(restored.clone(), redis.url(), None).await;
    control_plane.worker(&redis.url(), None, work(&host));
    let pool = PgPool::connect(restored.expose()).await.expect("database");
    let jobs = vpn::reconcile(&pool, &HOST.parse().expect("a host")).await.expect("a job");
    let job = control_plane.finished(&json!({ "job": { "id": jobs[0] } })).await;
    assert_eq!((&job["state"], &job["result"]["superseded"]), (&json!("succeeded"), &json!(false)), "{job}");
    let (generation, peers) = host.generation_and_peers();
    assert!(generation > ahead && peers == 1, "{generation} after {ahead}, {peers} peers");
    let path = |network: &Value| format!("/v1/net/vpn/{}", network["id"]);
    assert_eq!(control_plane.get(&path(&kept)).await["status"], "active");
    assert_eq!(control_plane.get(&path(&lost)).await["status"], 404);
    // The lost network's prefix is handed out again, to somebody that the host lets in.
    let again = network(&control_plane).await;
    assert_eq!((&again["network"], host.generation_and_peers().1), (&lost["network"], 2));
    control_plane.stop().await;
}
