//! The worker's stop in two stages: warm on the first signal, cold on the second.

use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::Value;
use uncloud_testkit::{
    fixtures::new_key,
    provider::{ApiClient, Provider},
    wait::wait_until,
};

/// A network whose job runs until the interface's lock is released.
fn held_up_network(alice: &ApiClient) -> Value {
    let network = alice.create_network(&new_key());
    let path = format!("/v1/job/{}", network["job"]["id"]);
    wait_until("the job is running", || alice.get(&path).expect(200)["state"] == "running");
    network
}

fn lock(state_dir: &Path) -> File {
    let file = File::options().create(true).append(true).open(state_dir.join(".wg-1.lock")).expect("lock file");
    file.lock().expect("locked");
    file
}

#[test]
fn worker_shutdown_on_first_signal_waits_and_on_second_ends_at_once() {
    let provider = Provider::start(&["alice"]);
    let state_dir = tempfile::tempdir().expect("folder");
    let mut worker = provider.dry_worker(state_dir.path());
    let (admin, alice) = (provider.api("admin"), provider.api("alice"));
    admin.job_succeeds(&admin.create_pool());

    let lock_held = lock(state_dir.path());
    let network = held_up_network(&alice);
    worker.signal(Signal::SIGTERM);
    worker.wait_for_line("stopping: running jobs are finished");
    assert_eq!(alice.get(&format!("/v1/net/vpn/{}", network["id"])).expect(200)["status"], "pending");
    drop(lock_held);
    let status = worker.wait();
    assert!(status.success(), "{status}");
    let job = alice.get(&format!("/v1/job/{}?wait=10", network["job"]["id"])).expect(200);
    assert_eq!((job["state"].as_str(), job["attempt"].as_i64()), (Some("succeeded"), Some(1)), "{job}");

    let mut worker = provider.dry_worker(state_dir.path());
    let lock_held = lock(state_dir.path());
    let network = held_up_network(&alice);
    worker.signal(Signal::SIGTERM);
    worker.wait_for_line("stopping: running jobs are finished");
    let asked_again = Instant::now();
    worker.signal(Signal::SIGTERM);
    let status = worker.wait();
    assert_eq!(status.code(), Some(130), "{status}");
    assert!(asked_again.elapsed() < Duration::from_secs(5), "the job still holds the lock");
    drop(lock_held);
    let _worker = provider.dry_worker(state_dir.path());
    alice.becomes_active(&network); // taken over when the lease ends
}
