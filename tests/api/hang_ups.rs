//! Callers that hang up before they are answered: what they have started is counted, limited and brought to its end.

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use nix::unistd::Pid;
use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use sqlx::PgPool;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use uncloud_testkit::servers::{RedisServer, Slapd, password_of};

use crate::{
    app::{PASSWORD, TestApp, database_url},
    ldap,
    servers::Server,
};

/// Sends a request, and hangs up without waiting for its response.
async fn send_and_leave(address: SocketAddr, head: &str, authorization: &str) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("{head} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    // Long enough that the server has read it.
    tokio::time::sleep(Duration::from_millis(30)).await;
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn memory_mb(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    rss.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

async fn login(address: SocketAddr, user: &str, password: &str) -> reqwest::Response {
    let request = Client::new().get(format!("http://{address}/v1/net/vpn")).basic_auth(user, Some(password));
    request.send().await.expect("a response")
}

/// Returns the number of requests that an address may still make in this minute.
async fn requests_left(address: SocketAddr) -> u32 {
    let refused = login(address, "carol", "wrong").await;
    let left = refused.headers()["ratelimit"].to_str().expect("text").to_owned();
    let left = left.split_once("r=").and_then(|(_, left)| left.split_once(';')).expect("a remainder").0;
    left.parse().expect("a number")
}

/// Waits until a query returns true.
async fn until(pool: &PgPool, holds: &'static str) {
    let started = Instant::now();
    while !sqlx::query_scalar(holds).fetch_one(pool).await.unwrap_or(false) {
        assert!(started.elapsed() < Duration::from_secs(10), "{holds}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn wrong_passwords_of_callers_who_hang_up_are_counted_and_their_memory_is_given_back() {
    let (database_url, redis) = (database_url().await, RedisServer::start());
    let server = Server::start(&database_url, &redis, &[]).await;
    let address: SocketAddr = server.address.parse().expect("an address");
    for user in ["admin", "alice", "bob"] {
        assert_eq!(login(address, user, PASSWORD).await.status(), StatusCode::OK);
    }
    let before = memory_mb(server.pid());
    join_all((0..400).map(|guess| async move {
        tokio::time::sleep(Duration::from_millis(2 * guess)).await;
        send_and_leave(address, "GET /v1/net/vpn", &basic(&format!("user{guess}"), "wrong")).await;
    }))
    .await;
    let started = Instant::now();
    while requests_left(address).await >= 1200 - 300 {
        assert!(started.elapsed() < Duration::from_secs(10), "the requests are counted");
    }
    let statuses = || server.log().iter().filter_map(|line| line["status"].as_u64()).collect::<Vec<_>>();
    let mut guesses = 0;
    while !statuses().contains(&429) {
        assert!(guesses < 100, "the wrong passwords are counted: {:?}", statuses());
        guesses += 1;
        send_and_leave(address, "GET /v1/net/vpn", &basic(&format!("other{guesses}"), "wrong")).await;
    }
    let statuses = statuses();
    assert!(statuses.contains(&499), "the log tells of them: {statuses:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = memory_mb(server.pid());
    assert!(after <= before + before / 5, "{before} MB before, {after} MB after");
}

#[tokio::test]
async fn directory_logins_of_callers_who_hang_up_are_limited() {
    let slapd = Slapd::start();
    let app = ldap::start(slapd.settings()).await;
    let before = slapd.user_binds();
    for guess in 0..40 {
        send_and_leave(app.address, "GET /v1/net/vpn", &basic("carol", &format!("guess {guess}"))).await;
    }
    let binds = slapd.user_binds() - before;
    assert!((1..=8).contains(&binds), "{binds} of 40 guesses reached the directory");
    assert_eq!(app.login("dave", &password_of("dave"), "192.0.2.1").await.status, 200, "another user");
}

#[tokio::test]
async fn token_revoked_by_caller_who_hangs_up_is_refused_at_once() {
    let app = TestApp::start().await;
    let token = app.post("/v1/token", "alice", json!({ "name": "laptop", "scopes": ["read"] })).await.expect(201);
    let secret = format!("Bearer {}", token["secret"].as_str().expect("a secret"));
    let read = async || app.authorized(Method::GET, "/v1/net/vpn", &secret, None).await.status;
    assert_eq!(read().await, 200, "it is cached now");
    let mut lock = app.pool.begin().await.expect("a transaction");
    let held = "select token_id from token for update";
    sqlx::query(held).execute(&mut *lock).await.expect("locked");
    send_and_leave(app.address, &format!("DELETE /v1/token/{}", token["id"]), &basic("alice", PASSWORD)).await;
    let waits =
        "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database())";
    until(&app.pool, waits).await;
    lock.commit().await.expect("released");
    until(&app.pool, "select not exists (select from token)").await;
    // The revocation clears the cache within the same turn, and so before this turn.
    assert_eq!(read().await, 401);
}
