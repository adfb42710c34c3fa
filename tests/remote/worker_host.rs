//! `uncloud worker-host`, with which an administrator lets hosts into Redis.

use std::process::{Command, Output, Stdio};

use serde_json::json;
use uncloud_wire::{Secret, broker};

use crate::{
    access::run,
    certificates::certificates,
    redis_tls::{RemoteRedis, SERVER_PASSWORD},
};

/// `uncloud worker-host` with an administrator's Redis.
fn worker_host(redis_url: &Secret<String>, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uncloud"));
    command.arg("worker-host").args(args).env_clear().stdin(Stdio::null());
    command.env("REDIS_URL", redis_url.expose()).env("REDIS_CA_FILE", certificates().ca()).output().expect("uncloud")
}

fn out(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8(output.stdout.clone()).expect("text");
    for line in stdout.lines().filter_map(|line| line.split_once("://")?.1.split_once('@')) {
        let password = line.0.rsplit(':').next().expect("a password");
        assert!(!stderr.contains(password), "a secret was logged: {stderr}");
    }
    stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_host_add_ls_and_rm_manage_redis_users() {
    let redis = RemoteRedis::start();
    let admin = redis.admin_url();
    let url = Secret::new(out(&worker_host(&admin, &["add", "VPN-1.example.ch"])).trim().to_owned());
    assert!(url.expose().starts_with("rediss://host-vpn-1.example.ch:") && url.expose().contains("@[::1]:"));
    let mut host = redis.connect(&url).await;
    let group = "XGROUP CREATE uncloud:{vpn-1.example.ch}:jobs workers 0 MKSTREAM";
    run(&mut host, group).await.expect("what a worker does first");

    let again = worker_host(&admin, &["add", "vpn-1.example.ch"]);
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("--replace"));
    let listed: serde_json::Value =
        serde_json::from_str(&out(&worker_host(&admin, &["ls", "--output", "json"]))).expect("JSON");
    assert_eq!(listed, json!([{ "queue": "vpn-1.example.ch", "user": "host-vpn-1.example.ch", "enabled": true }]));

    let replaced = out(&worker_host(&admin, &["add", "vpn-1.example.ch", "--replace", "--output", "json"]));
    let replaced: serde_json::Value = serde_json::from_str(&replaced).expect("JSON");
    let new = Secret::new(replaced["broker_url"].as_str().expect("a URL").to_owned());
    redis.connect(&new).await;
    let old = broker::client(&url, Some(&certificates().ca())).expect("a client");
    assert!(old.get_multiplexed_async_connection().await.is_err(), "the old password is no longer taken");

    // The line for the ACL file does the same, and nothing was changed for it.
    let args = ["add", "vpn-2.example.ch", "--print", "--broker-address", "rediss://redis.example.ch"];
    let printed = out(&worker_host(&admin, &args));
    let (line, url) = printed.trim().split_once('\n').expect("two lines");
    assert!(url.starts_with("rediss://host-vpn-2.example.ch:") && url.ends_with("@redis.example.ch"), "{url}");
    let password = url.trim_end_matches("@redis.example.ch").rsplit(':').next().expect("a password");
    assert!(!line.contains(password), "the file holds a hash");
    assert!(!out(&worker_host(&admin, &["ls"])).contains("vpn-2"));
    // Written to the file as an operator would, next to what ACL SAVE has kept of the first host.
    let mut connection = redis.admin().await;
    let file: Vec<String> =
        redis::cmd("CONFIG").arg("GET").arg("aclfile").query_async(&mut connection).await.expect("path");
    let kept = std::fs::read_to_string(&file[1]).expect("the ACL file");
    assert!(kept.contains("user host-vpn-1.example.ch on"), "kept for Redis' next start");
    std::fs::write(&file[1], format!("{kept}{line}\n")).expect("written");
    redis::cmd("ACL").arg("LOAD").query_async::<()>(&mut connection).await.expect("a line that Redis takes");
    let listed = out(&worker_host(&redis.admin_url(), &["ls"]));
    assert!(listed.contains("vpn-1.example.ch") && listed.contains("vpn-2.example.ch"), "{listed}");

    let mut host = redis.connect(&new).await;
    out(&worker_host(&admin, &["rm", "vpn-1.example.ch"]));
    assert!(run(&mut host, group).await.is_err(), "its connection has ended");
    let again = worker_host(&admin, &["rm", "vpn-1.example.ch"]);
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("worker-host ls"));
    let unprivileged = worker_host(&redis.url("server", SERVER_PASSWORD), &["ls"]);
    assert!(String::from_utf8_lossy(&unprivileged.stderr).contains("administrator's (+acl)"));
}
