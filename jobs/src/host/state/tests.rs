use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::host::check::tests::config;

fn present(generation: i64) -> DesiredInterface {
    let interface = "wg-1".parse().expect("name");
    DesiredInterface { version: desired::VERSION, interface, generation, state: InterfaceState::Present(config()) }
}

fn absent(generation: i64) -> DesiredInterface {
    DesiredInterface { state: InterfaceState::Absent, ..present(generation) }
}

fn state_file(dir: &tempfile::TempDir) -> StateFile {
    StateFile::new(dir.path(), &"wg-1".parse().expect("name"))
}

#[tokio::test]
async fn save_and_load_returns_same_state_with_mode_0600() {
    let dir = tempfile::tempdir().expect("dir");
    let file = state_file(&dir);
    assert!(file.load().await.expect("no file is fine").is_none());
    // A file that was left by a crash, and that every user can read.
    fs::write(dir.path().join(".wg-1.json.tmp"), "half").expect("write");
    let saved = Saved::unfinished(present(7), None);
    file.save(saved.clone()).await.expect("saved");
    let loaded = file.load().await.expect("readable").expect("there");
    let bytes = |saved: &Saved| serde_json::to_vec(saved).expect("serialises");
    assert_eq!(bytes(&loaded), bytes(&saved));
    assert_eq!(fs::metadata(file.path()).expect("there").permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).expect("dir").count(), 1, "no temporary file is left");
}

#[tokio::test]
async fn lock_held_by_another_process_is_refused() {
    let dir = tempfile::tempdir().expect("dir");
    let file = state_file(&dir);
    let held = file.lock(Duration::ZERO).await.expect("free");
    let error = file.lock(Duration::from_millis(50)).await.expect_err("held");
    assert!(matches!(error, HostError::Locked { .. }) && !error.is_final(), "{error}");
    drop(held);
    file.lock(Duration::ZERO).await.expect("free again");
}

#[tokio::test]
async fn load_broken_file_does_not_quote_key() {
    let dir = tempfile::tempdir().expect("dir");
    let file = state_file(&dir);
    let good = serde_json::to_string(&Saved::unfinished(present(7), None)).expect("serialises");
    let key = config().private_key.expose_base64();
    assert!(good.contains(&key), "the state carries the key");

    fs::write(file.path(), good.replace(r#""listen_port":51820"#, &format!(r#""listen_port":"{key}""#))).expect("w");
    let error = file.load().await.expect_err("not a port");
    assert!(error.is_final() && error.to_string().contains("[key]"), "{error}");
    assert!(!error.to_string().contains(&key), "{error}");

    fs::write(file.path(), good.replace(r#""version":1"#, r#""version":9"#)).expect("write");
    assert!(matches!(file.load().await, Err(HostError::NewerVersion { version: 9, .. })));

    fs::write(file.path(), good.replace("wg-1", "wg-2")).expect("write");
    let error = file.load().await.expect_err("another interface").to_string();
    assert!(error.contains("it contains the state of wg-2"), "{error}");
}

#[test]
fn unfinished_state_keeps_retired_routes() {
    let routes = config().routes;
    let first = Saved::unfinished(present(1), None);
    assert_eq!(first.retired_routes, []);
    let mut renumbered = present(2);
    if let InterfaceState::Present(config) = &mut renumbered.state {
        config.routes.pop();
    }
    let second = Saved::unfinished(renumbered, Some(&first.finished()));
    assert_eq!(second.retired_routes, routes[1..]);
    // Deleted before the second state could be applied: both prefixes must go.
    let third = Saved::unfinished(absent(3), Some(&second));
    let mut both = routes;
    both.sort_unstable();
    assert_eq!(third.retired_routes, both);
    assert_eq!(third.finished().retired_routes, []);
    // A deleted interface that returns keeps its own routes.
    assert_eq!(Saved::unfinished(present(4), Some(&third)).retired_routes, []);
}

#[tokio::test]
async fn list_ignores_other_files() {
    let dir = tempfile::tempdir().expect("dir");
    for name in ["wg-2.json", "wg-1.json", ".wg-1.lock", ".wg-1.json.tmp", "wg0.conf", "wg-1.conf", "wg-A.json"] {
        fs::write(dir.path().join(name), "").expect("write");
    }
    let names: Vec<_> = list(dir.path()).await.expect("list").iter().map(|f| f.interface().to_string()).collect();
    assert_eq!(names, ["wg-1", "wg-2"]);
}
