//! The command line: an error is one line that says what is wrong and how to mend it, and never a password.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use uncloud_testkit::{fixtures::SECRET_KEY, process::Process, servers::RedisServer};

use crate::app::{HOST, PASSWORD, TestApp, database_url};

/// A secret that no message may show.
const SECRET: &str = "hunter2";

/// `uncloud` with nothing of this process' environment, and a data folder that nobody uses.
pub fn uncloud(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uncloud"));
    command.args(args).env_clear().env("UNCLOUD_DATA_DIR", "/nonexistent/uncloud");
    command
}

pub fn run(command: &mut Command, input: &str) -> Output {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().expect("uncloud");
    // Some of them end without reading it.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("uncloud")
}

/// Runs what must fail; all of these are in the one line that it says.
#[track_caller]
pub fn refused(command: &mut Command, input: &str, words: &[&str]) {
    let output = run(command, input);
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(!output.status.success(), "{command:?} succeeded: {said}");
    assert_eq!(output.stdout, b"", "nothing for programs to read");
    assert_eq!(said.lines().count(), 1, "{command:?}: {said}");
    assert!(said.starts_with("uncloud: ") && said.ends_with('\n'), "{said}");
    for word in words {
        assert!(said.contains(word), "{command:?} does not say {word:?}: {said}");
    }
    assert!(!said.contains(SECRET), "{said}");
}

/// Beside the server, which is in this thread: stopped in the middle of a transaction, it would hold its locks.
pub async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

#[test]
fn cli_with_missing_setting_names_it_and_how_to_set_it() {
    refused(&mut uncloud(&["serve"]), "", &["DATABASE_URL", "--data-dir"]);
    refused(&mut uncloud(&["migrate"]), "", &["DATABASE_URL"]);
    let with_database = |args: &[&str]| {
        let mut command = uncloud(args);
        command.env("DATABASE_URL", format!("postgres://uncloud:{SECRET}@127.0.0.1:1/uncloud"));
        command
    };
    refused(&mut with_database(&["serve"]), "", &["REDIS_URL"]);
    let redis = format!("redis://:{SECRET}@127.0.0.1:1");
    refused(with_database(&["serve"]).env("REDIS_URL", &redis), "", &["UNCLOUD_SECRET_KEY", "openssl rand -base64 32"]);
    let both = [("DATABASE_URL_FILE", "/etc/uncloud/database-url")];
    refused(with_database(&["serve"]).envs(both), "", &["DATABASE_URL_FILE", "leave one out"]);
    refused(uncloud(&["migrate"]).envs(both), "", &["DATABASE_URL_FILE", "/etc/uncloud/database-url"]);
    refused(&mut uncloud(&["migrate", "--config", "/nonexistent/config"]), "", &["/nonexistent/config"]);
}

#[test]
fn serve_with_invalid_url_or_key_fails_without_showing_it() {
    let serve = |database: &str, redis: &str, key: &str| {
        let mut command = uncloud(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("DATABASE_URL", database).env("REDIS_URL", redis).env("UNCLOUD_SECRET_KEY", key);
        command
    };
    let (database, redis) =
        (format!("postgres://uncloud:{SECRET}@127.0.0.1:1/x"), format!("redis://:{SECRET}@[::1]:1"));
    let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    refused(&mut serve(&database, &redis, key), "", &["PostgreSQL", "DATABASE_URL", "Connection refused"]);
    for wrong in [SECRET, &format!("postgres://uncloud:{SECRET}@[/x"), &format!("postgres://uncloud:{SECRET}@h:0x/y")] {
        refused(&mut serve(wrong, &redis, key), "", &["DATABASE_URL"]);
    }
    refused(&mut serve(&database, &format!("http://:{SECRET}@localhost"), key), "", &["REDIS_URL", "redis://"]);
    refused(&mut serve(&database, &redis, SECRET), "", &["secret key", "32"]);
}

#[test]
fn cli_with_invalid_arguments_fails_with_one_line() {
    refused(&mut uncloud(&["vpn", "--hostname", "bare"]), "", &["--hostname", "full name with at least one dot"]);
    refused(&mut uncloud(&["vpn"]), "", &["--hostname"]);
    refused(&mut uncloud(&["no-such-command"]), "", &["no-such-command", "--help"]);
    refused(&mut uncloud(&["user", "ls", "--output", "yaml"]), "", &["yaml", "table", "json"]);
    refused(&mut uncloud(&["serve", "--listen", "8000"]), "", &["--listen", "8000"]);
    let url = format!("postgres://uncloud:{SECRET}@localhost/uncloud");
    refused(&mut uncloud(&["serve", &url]), "", &["unexpected argument", "URL"]);
    refused(&mut uncloud(&["serve", "--listen", &url]), "", &["--listen", "URL"]);
    refused(&mut uncloud(&[&url]), "", &["URL", "--help"]);
    refused(&mut uncloud(&["bootstrap-user", "--username", "a b"]), PASSWORD, &["--username"]);
    refused(&mut uncloud(&["bootstrap-user", "--username", "nico"]), "short\n", &["5 characters", "8"]);
    refused(&mut uncloud(&["bootstrap-user", "--username", "nico"]), "", &["password", "stdin"]);
    let help = run(&mut uncloud(&["--help"]), "");
    assert!(help.status.success() && help.stdout.starts_with(b"A hosting provider"), "help is not an error");
    assert!(run(&mut uncloud(&["--version"]), "").status.success());
}

#[tokio::test]
async fn serve_of_plain_http_to_other_machines_is_refused_unless_allowed() {
    let (url, redis) = (database_url().await, RedisServer::start());
    let serve = |options: &[&str]| {
        let mut command = uncloud(&[&["serve", "--listen", "0.0.0.0:0"], options].concat());
        command
            .env("DATABASE_URL", url.expose())
            .env("REDIS_URL", redis.url().expose())
            .env("UNCLOUD_SECRET_KEY", SECRET_KEY);
        command
    };
    let output = beside({
        let mut command = serve(&[]);
        move || run(&mut command, "")
    })
    .await;
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.contains("--allow-plaintext") && said.contains("UNCLOUD_TLS_CERT_FILE"), "{said}");
    let mut allowed = Process::start("uncloud serve", &mut serve(&["--allow-plaintext"]));
    allowed.wait_for_line("serving; try /api/ and /docs");
}

#[tokio::test]
async fn vpn_command_for_host_without_pool_or_worker_names_the_host() {
    let app = TestApp::start().await;
    let vpn = |host: &str| {
        let mut command = uncloud(&["vpn", "--hostname", host, "--timeout", "0"]);
        command.env("DATABASE_URL", app.database_url.expose());
        command
    };
    let mut unknown = vpn("vpn-9.example.ch");
    beside(move || refused(&mut unknown, "", &["vpn-9.example.ch", "/v1/admin/vpnpool"])).await;
    app.handbook_pool().await;
    let mut known = vpn(HOST);
    let output = beside(move || run(&mut known, "")).await;
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.contains(&format!("uncloud-worker --queue {HOST}")) && said.lines().count() == 1, "{said}");
}

#[tokio::test]
async fn vpn_command_with_locked_pools_fails_after_timeout() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let mut holder = app.pool.begin().await.expect("a transaction");
    sqlx::query("select from vpn_pool for update").execute(&mut *holder).await.expect("locked");
    let mut vpn = uncloud(&["vpn", "--hostname", HOST, "--timeout", "1"]);
    vpn.env("DATABASE_URL", app.database_url.expose());
    beside(move || refused(&mut vpn, "", &["1 s", "another transaction", "pg_stat_activity"])).await;
}

#[tokio::test]
async fn user_ls_as_table_and_json_lists_all_users() {
    let app = TestApp::start().await;
    let user = async |args: &[&str], input: &'static str| {
        let mut command = uncloud(args);
        command.env("DATABASE_URL", app.database_url.expose());
        let output = beside(move || run(&mut command, input)).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(user(&["bootstrap-user", "--username", "nico", "--staff"], PASSWORD).await, "");
    let listed: Vec<Value> = serde_json::from_str(&user(&["user", "ls", "--output", "json"], "").await).expect("JSON");
    let nico = listed.iter().find(|user| user["username"] == "nico").expect("listed");
    assert_eq!(nico["staff"], true);
    assert!(nico["id"].is_i64() && nico["created_at"].is_string(), "{nico}");
    let table = user(&["user", "ls"], "").await;
    assert!(table.starts_with("ID") && table.lines().count() == listed.len() + 1, "{table}");
    app.get("/v1/net/vpn", "nico").await.expect(200);
}
