//! A host whose disk is full.

use std::{fs, path::Path};

use uncloud_testkit::{
    command::{clear_env, succeed},
    fixtures::new_key,
    programs,
    provider::{Provider, host_options},
    wait::wait_until,
    world::{self, VPN_HOST, World},
};

/// Name and content of everything in a folder, but for what fills it.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .expect("a folder")
        .flatten()
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("a file")))
        .filter(|(name, _)| name != "filler")
        .collect();
    files.sort();
    files
}

fn peers(world: &World) -> Vec<String> {
    world.sh_in(VPN_HOST, "wg show wg-1 allowed-ips").lines().map(str::to_owned).collect()
}

#[test]
fn apply_with_full_state_folder_is_reported_and_resumes_with_space() {
    world::run(0, |world| {
        let provider = Provider::start(&["nico"]);
        let (admin, nico) = (provider.api("admin"), provider.api("nico"));
        let folder = tempfile::tempdir().expect("state folder");
        let state_dir = folder.path();
        world.sh(&format!("mount -t tmpfs -o size=256k,mode=700 world {}", state_dir.display()));
        let _worker = provider.worker(world, state_dir);
        admin.job_succeeds(&admin.create_pool());
        let first = nico.becomes_active(&nico.create_network(&new_key()));
        let (before, peers_before) = (files(state_dir), peers(world));
        assert_eq!(peers_before.len(), 1, "{first}");

        world.sh(&format!("dd if=/dev/zero of={}/filler bs=4k 2>/dev/null || true", state_dir.display()));
        let second = nico.create_network(&new_key());
        let path = format!("/v1/net/vpn/{}", second["id"]);
        let mut reason = String::new();
        wait_until("the customer is told why", || {
            let network = nico.get(&path).expect(200);
            assert_eq!(network["status"], "pending", "{network}");
            reason = network["status_reason"].as_str().unwrap_or_default().to_owned();
            !reason.is_empty()
        });
        assert!(reason.contains("No space left on device") && reason.contains("free space"), "{reason}");
        assert_eq!(files(state_dir), before, "the old state is whole, and nothing lies beside it");
        assert_eq!(peers(world), peers_before, "what was not kept is not in effect either");
        let mut restore = world.command(VPN_HOST, programs::uncloud_worker());
        succeed(clear_env(restore.arg("restore").args(host_options(state_dir))), "");

        fs::remove_file(state_dir.join("filler")).expect("removed");
        nico.becomes_active(&second);
        assert_eq!(peers(world).len(), 2);
    });
}
