//! Faults between the parts, none of which loses anything.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uncloud_testkit::{
    fixtures::SECRET_KEY,
    servers::{PgBouncer, PostgresServer},
};

use crate::{
    app::{HOST, PASSWORD, TestApp, new_key},
    cli::{beside, refused, uncloud},
    servers::Server,
};

fn obedient(desired: &Value) -> Value {
    json!({ "applied_generation": desired["generation"] })
}

#[tokio::test]
async fn job_during_frozen_redis_is_delayed_but_not_lost() {
    let app = TestApp::start().await;
    let runs = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&runs);
    app.worker(HOST, move |desired| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(obedient(&desired))
    });
    let pool = app.handbook_pool().await;
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
    let mut redis = app.redis_connection().await;
    let _: () = redis::cmd("CLIENT").arg(&["PAUSE", "6000", "ALL"]).query_async(&mut redis).await.expect("frozen");
    let network = app.network("alice", new_key()).await; // accepted all the same
    assert_eq!(app.finished(&network).await["state"], "succeeded");
    assert!(runs.load(Ordering::SeqCst) >= 2);
}

#[tokio::test]
async fn job_after_postgres_closes_all_connections_succeeds() {
    let app = TestApp::start().await;
    app.obedient_worker();
    let pool = app.handbook_pool().await;
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
    for _ in 0..3 {
        // Relay, events, sweep, listener and requests, all at once, as when Postgres restarts.
        sqlx::query(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .execute(&app.pool)
        .await
        .expect("ended");
        // What was in use less than 20 ms ago is not looked at first.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let network = app.network("admin", new_key()).await;
        assert_eq!(app.finished(&network).await["state"], "succeeded");
    }
}

#[tokio::test]
async fn workers_sharing_one_host_run_each_job_once() {
    let app = TestApp::start().await;
    let (runs, busy) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    for _ in 0..2 {
        let (count, now) = (Arc::clone(&runs), Arc::clone(&busy));
        // Under one name, as when somebody starts the unit twice.
        app.worker(HOST, move |desired| {
            assert_eq!(now.fetch_add(1, Ordering::SeqCst), 0, "one at a time for one pool");
            count.fetch_add(1, Ordering::SeqCst);
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(obedient(&desired))
        });
    }
    app.handbook_pool().await;
    for _ in 0..20 {
        let network = app.network("admin", new_key()).await;
        let job = app.finished(&network).await;
        assert_eq!((&job["state"], &job["attempt"]), (&json!("succeeded"), &json!(1)));
    }
    let jobs: i64 = sqlx::query_scalar("select count(*) from job").fetch_one(&app.pool).await.expect("a count");
    assert_eq!(i64::from(runs.load(Ordering::SeqCst)), jobs, "each job ran once");
}

/// A worker reads the job and is never heard of again.
async fn read_by_dead_worker(app: &TestApp) -> redis::aio::MultiplexedConnection {
    let mut redis = app.redis_connection().await;
    let key = format!("uncloud:{{{HOST}}}:jobs");
    let _: Result<(), redis::RedisError> =
        redis::cmd("XGROUP").arg(&["CREATE", &key, "workers", "0", "MKSTREAM"]).query_async(&mut redis).await;
    let read = ["GROUP", "workers", "dead", "COUNT", "1", "BLOCK", "5000", "STREAMS", &key, ">"];
    let reply: redis::Value = redis::cmd("XREADGROUP").arg(&read).query_async(&mut redis).await.expect("a job");
    assert_ne!(reply, redis::Value::Nil);
    redis
}

#[tokio::test]
async fn job_of_dead_worker_is_taken_over_within_ten_seconds() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await;
    read_by_dead_worker(&app).await;
    app.obedient_worker();
    let done = tokio::time::timeout(Duration::from_secs(10), app.finished(&pool)).await.expect("within ten seconds");
    assert_eq!((&done["state"], &done["attempt"]), (&json!("succeeded"), &json!(1)), "no attempt is lost by it");
}

#[tokio::test]
async fn job_after_three_dead_workers_fails() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await;
    let mut redis = read_by_dead_worker(&app).await;
    let key = format!("uncloud:{{{HOST}}}:jobs");
    for _ in 0..2 {
        // Two more die of it: each claim counts as a delivery.
        let claim = [key.as_str(), "workers", "dead", "0", "0-0"];
        let _: redis::Value = redis::cmd("XAUTOCLAIM").arg(&claim).query_async(&mut redis).await.expect("claimed");
    }
    app.worker(HOST, |_| panic!("must not run a fourth time"));
    let job = app.finished(&pool).await;
    assert_eq!(job["state"], "failed");
    assert!(job["error"].as_str().is_some_and(|error| error.contains("died 3 times")), "{job}");
}

#[tokio::test]
async fn job_with_damaged_key_fails_and_names_the_network() {
    let app = TestApp::start().await;
    app.obedient_worker();
    let pool = app.handbook_pool().await;
    assert_eq!(app.finished(&pool).await["state"], "succeeded");
    let network = app.network("alice", new_key()).await;
    assert_eq!(app.finished(&network).await["state"], "succeeded");
    // No request can write it: a damaged disk, a restore, a hand.
    let damage = "update vpn_network set public_key = set_byte(public_key, 31, 255)";
    sqlx::query(damage).execute(&app.pool).await.expect("damaged");
    let next = app.network("alice", new_key()).await;
    let job = app.finished(&next).await;
    assert_eq!(job["state"], "failed", "{job}");
    let expected = format!("the public key of network {} is damaged", network["id"]);
    assert!(job["error"].as_str().is_some_and(|error| error.contains(&expected)), "{job}");
}

impl TestApp {
    /// Changes a setting of the database, which new sessions have, and ends those of the server.
    async fn set_for_new_sessions(&self, session: &mut PgConnection, setting: &str) {
        let database: String =
            sqlx::query_scalar("select current_database()").fetch_one(&mut *session).await.expect("a name");
        let alter = AssertSqlSafe(format!("alter database \"{database}\" set {setting}"));
        sqlx::query(alter).execute(session).await.expect("altered");
    }
}

async fn end_others(session: &mut PgConnection) {
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()";
    sqlx::query(end).execute(session).await.expect("ended");
    // What was in use less than 20 ms ago is not looked at first.
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn write_to_a_standby_returns_503_and_works_again_after_the_failover() {
    let app = TestApp::start().await;
    let create = async || app.post("/v1/token", "alice", json!({ "name": "laptop", "scopes": ["read"] })).await;
    create().await.expect(201);
    let mut session = PgConnection::connect(app.database_url.expose()).await.expect("a session");
    app.set_for_new_sessions(&mut session, "default_transaction_read_only = on").await;
    end_others(&mut session).await;
    assert_eq!(create().await.expect(503)["code"], "unavailable");
    app.set_for_new_sessions(&mut session, "default_transaction_read_only = off").await;
    // The server's sessions are still those of the standby; nobody ends them.
    create().await.expect(201);
}

#[tokio::test]
async fn time_limits_of_the_database_do_not_apply_to_the_server() {
    let app = TestApp::start().await;
    let mut session = PgConnection::connect(app.database_url.expose()).await.expect("a session");
    for setting in ["statement_timeout = '1ms'", "lock_timeout = '1ms'", "idle_in_transaction_session_timeout = '1ms'"]
    {
        app.set_for_new_sessions(&mut session, setting).await;
    }
    end_others(&mut session).await;
    app.handbook_pool().await;
    app.network("alice", new_key()).await;
}

#[tokio::test]
async fn database_of_another_encoding_is_refused_with_what_to_do() {
    let postgres = PostgresServer::shared();
    let mut admin = PgConnection::connect(postgres.url("postgres").expose()).await.expect("PostgreSQL");
    let create = "create database latin encoding 'LATIN1' locale 'C' template template0";
    sqlx::query(create).execute(&mut admin).await.expect("created");
    let mut migrate = uncloud(&["migrate"]);
    migrate.env("DATABASE_URL", postgres.url("latin").expose());
    beside(move || refused(&mut migrate, "", &["LATIN1", "encoding 'UTF8'"])).await;
    postgres.drop_database("latin").await;
}

#[tokio::test]
async fn server_behind_pooler_works_with_sessions_and_is_refused_without() {
    let app = TestApp::start().await;
    let database = app.database_url.expose().split(['/', '?']).nth(3).expect("a name").to_owned();
    let sessions = PgBouncer::start(PostgresServer::shared(), "session");
    let server = Server::start(&sessions.url(&database), &app.redis, &[]).await;
    let address = format!("http://{}/v1/token", server.address);
    let body = json!({ "name": "laptop", "scopes": ["read"] });
    for _ in 0..20 {
        let request = reqwest::Client::new().post(&address).basic_auth("alice", Some(PASSWORD)).json(&body);
        assert_eq!(request.send().await.expect("a response").status(), 201);
    }
    assert!(server.terminate().await.success());
    let transactions = PgBouncer::start(PostgresServer::shared(), "transaction");
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
        let mut command = uncloud(command);
        command.env("DATABASE_URL", transactions.url(&database).expose()).env("UNCLOUD_SECRET_KEY", SECRET_KEY);
        command.env("REDIS_URL", app.redis.url().expose());
        beside(move || refused(&mut command, "", &["pool_mode = session"])).await;
    }
}
