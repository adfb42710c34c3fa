//! A database restored from a backup wins over what hosts have applied since, however far ahead they are.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use uncloud_testkit::{
    command::{clear_env, succeed},
    fixtures::{HOST, new_key},
    provider::Provider,
    wait::wait_until,
};

fn state(state_dir: &Path) -> Value {
    let text = fs::read_to_string(state_dir.join("wg-1.json")).expect("a saved state");
    serde_json::from_str::<Value>(&text).expect("JSON")["desired"].clone()
}

fn peers(state_dir: &Path) -> Vec<String> {
    let peers = state(state_dir)["state"]["present"]["peers"].as_array().cloned().expect("peers");
    peers.iter().map(|peer| peer["public_key"].as_str().expect("a key").to_owned()).collect()
}

#[test]
fn reconcile_after_restoring_older_database_overrides_host_state() {
    let mut provider = Provider::start(&["alice"]);
    let state_dir = tempfile::tempdir().expect("folder");
    let _worker = provider.dry_worker(state_dir.path());
    let (admin, alice) = (provider.api("admin"), provider.api("alice"));
    admin.job_succeeds(&admin.create_pool());
    let [kept, lost, later] = [(); 3].map(|()| new_key().to_string());
    alice.becomes_active(&alice.create_network(&kept));
    let database = provider.database_url();
    let dump = succeed(clear_env(Command::new("pg_dump").arg(&database)), "");

    let lost_network = alice.becomes_active(&alice.create_network(&lost));
    assert_eq!(peers(state_dir.path()), [kept.clone(), lost]);
    let ahead = state(state_dir.path())["generation"].as_i64().expect("a generation");

    provider.kill_server();
    let restore = format!("drop schema public cascade; create schema public;\n{dump}");
    succeed(clear_env(Command::new("psql").args(["-q", "-v", "ON_ERROR_STOP=1", "-d", &database])), &restore);
    provider.start_server();

    succeed(provider.uncloud().args(["vpn", "--hostname", HOST]), "");
    assert_eq!(
        peers(state_dir.path()),
        std::slice::from_ref(&kept),
        "what the restored database does not know is gone"
    );
    assert!(state(state_dir.path())["generation"].as_i64().expect("a generation") > ahead);
    // The prefix is free for somebody else, and the host takes it.
    let network = alice.becomes_active(&alice.create_network(&later));
    assert_eq!(network["network"], lost_network["network"]);
    wait_until("the host has the later network", || peers(state_dir.path()) == [kept.clone(), later.clone()]);
}
