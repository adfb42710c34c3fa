//! Exit codes: 0 success, 1 refused or failed, 2 usage, 3 not found, 4 no response.

use std::process::Command;

use crate::{
    app::{HOST, TestApp},
    cli::{beside, run, uncloud},
};

/// Runs a command that fails with one line; its exit code and that line.
fn fail(mut command: Command) -> (Option<i32>, String) {
    let output = run(&mut command, "");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.starts_with("uncloud: ") && said.lines().count() == 1, "{command:?}: {said}");
    (output.status.code(), said)
}

#[test]
fn cli_with_invalid_usage_or_settings_exits_with_2() {
    let key = ("UNCLOUD_SECRET_KEY", "short");
    let (database, redis) = (("DATABASE_URL", "postgres://localhost/x"), ("REDIS_URL", "redis://localhost"));
    for (args, variables) in [
        (&["no-such-command"][..], &[][..]),
        (&["job", "ls", "--limit", "0"], &[]),
        (&["job", "ls"], &[]),
        (&["job", "ls"], &[("DATABASE_URL", "mysql://localhost")]),
        (&["job", "ls"], &[("DATABASE_URL_FILE", "/nonexistent/url")]),
        (&["--config", "/nonexistent/file", "job", "ls"], &[]),
        (&["serve"], &[database]),
        (&["serve"], &[database, redis]),
        (&["serve"], &[database, redis, key]),
        (&["serve"], &[database, redis, ("UNCLOUD_SECRET_KEY", "AQ"), ("UNCLOUD_TLS_CERT_FILE", "/x")]),
        (&["up", "--queue", "billing"], &[]),
        (&["up"], &[("UNCLOUD_TLS", "maybe")]),
    ] {
        let mut command = uncloud(args);
        command.envs(variables.iter().copied());
        let (code, said) = fail(command);
        assert_eq!(code, Some(2), "{args:?} {variables:?}: {said}");
    }
    let output = run(&mut uncloud(&["job"]), "");
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "help, but asked for by mistake");
}

#[test]
fn cli_with_unreachable_server_exits_with_4() {
    let redis = ("REDIS_URL", "redis://127.0.0.1:1");
    for (args, variable) in [
        (&["migrate"][..], ("DATABASE_URL", "postgres://uncloud@127.0.0.1:1/uncloud")),
        (&["job", "ls"], ("DATABASE_URL", "postgres://uncloud@127.0.0.1:1/uncloud")),
        (&["worker-host", "ls"], redis),
        (&["worker-host", "add", HOST], redis),
    ] {
        let mut command = uncloud(args);
        command.envs([variable]);
        let (code, said) = fail(command);
        assert_eq!(code, Some(4), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn cli_with_missing_object_or_refusal_exits_with_3_or_1() {
    let app = TestApp::start().await;
    app.cli(&["queue", "pause", HOST]).await.expect("paused");
    let job = app.handbook_pool().await["job"]["id"].to_string();
    app.cli(&["job", "revoke", &job]).await.expect("revoked");
    for (command, code, words) in [
        ("job show 999", 3, "uncloud job ls"),
        ("job watch 999", 3, "uncloud job ls"),
        ("job retry 999", 3, "999"),
        ("job revoke 999", 3, "999"),
        ("user lock carol", 3, "uncloud user ls"),
        ("bill show 2024-999999", 3, "uncloud bill ls"),
        ("bill run --customer carol", 3, "uncloud user ls"),
        ("schedule show never", 3, "uncloud schedule ls"),
        ("schedule run never", 3, "uncloud schedule ls"),
        ("queue show nothing", 3, "uncloud queue ls"),
        ("worker scale 999 2", 3, "999"),
        ("vpn --hostname vpn-9.example.ch", 3, "/v1/admin/vpnpool"),
        ("inspect ping", 3, "uncloud-worker --queue"),
        (&format!("job revoke {job}"), 1, "revoked"),
        (&format!("job watch {job}"), 1, "revoked"),
        ("schedule add bill-run --kind bill_run --every 60", 1, "name"),
        (&format!("vpn --hostname {HOST} --timeout 0"), 4, "uncloud-worker --queue"),
        ("bill export --from 2024-01-01 --to 2023-01-01", 2, "later"),
    ] {
        let mut process = uncloud(&command.split(' ').collect::<Vec<_>>());
        process.env("DATABASE_URL", app.database_url.expose());
        let output = beside(move || run(&mut process, "")).await;
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code), "{command}: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.starts_with("uncloud: ") && last.contains(words), "{command}: {said}");
    }
}
