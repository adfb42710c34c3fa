//! `Idempotency-Key`: sent again, but done once.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    app::{ApiResponse, TestApp, database_url, new_key},
    locks::until_somebody_waits,
};

impl TestApp {
    async fn keyed(&self, user: &str, key: &str, path: &str, body: Value) -> ApiResponse {
        self.with_header(Method::POST, path, Some(user), ("idempotency-key", key), Some(body)).await
    }

    async fn networks(&self) -> i64 {
        sqlx::query_scalar("select count(*) from vpn_network").fetch_one(&self.pool).await.expect("a count")
    }
}

fn network() -> Value {
    json!({ "network_size": 48, "wireguard_public_key": new_key().to_string() })
}

#[tokio::test]
async fn request_with_same_idempotency_key_is_done_once_and_replayed() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let body = network();
    let first = app.keyed("alice", "k1", "/v1/net/vpn", body.clone()).await;
    let again = app.keyed("alice", "k1", "/v1/net/vpn", body.clone()).await;
    first.expect(201);
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    for header in ["location", "content-type"] {
        assert_eq!(again.header(header), first.header(header), "{header}");
    }
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    assert_eq!(app.networks().await, 1);
    let reused = app.keyed("alice", "k1", "/v1/net/vpn", network()).await.expect(422);
    assert_eq!(reused["code"], "idempotency_key_reused");
    app.keyed("bob", "k1", "/v1/net/vpn", network()).await.expect(201);
    app.keyed("alice", "k2", "/v1/net/vpn", network()).await.expect(201);
    assert_eq!(app.networks().await, 3);
    sqlx::query("update idempotency set created_at = now() - interval '25 hours'")
        .execute(&app.pool)
        .await
        .expect("old");
    app.keyed("alice", "k1", "/v1/net/vpn", network()).await.expect(201);
    assert_eq!(app.networks().await, 4, "a key is good for a day");
}

#[tokio::test]
async fn request_refused_with_idempotency_key_succeeds_when_the_reason_is_gone() {
    let app = TestApp::start().await;
    let body = network();
    let first = app.keyed("alice", "k", "/v1/net/vpn", body.clone()).await;
    assert_eq!(first.wrong_fields(422), ["/network_size"], "no pool yet");
    app.handbook_pool().await;
    let quota = async |quota: i32| {
        let body = Some(json!({ "vpn_quota": quota }));
        app.request(Method::PATCH, "/v1/admin/user/2", Some("admin"), body).await.expect(200);
    };
    quota(0).await;
    assert_eq!(app.keyed("alice", "k", "/v1/net/vpn", body.clone()).await.expect(409)["code"], "quota_exceeded");
    quota(8).await;
    let made = app.keyed("alice", "k", "/v1/net/vpn", body.clone()).await;
    made.expect(201);
    let again = app.keyed("alice", "k", "/v1/net/vpn", body).await;
    assert_eq!((again.status, &again.text), (made.status, &made.text), "a success is kept");
    for key in ["", "a b", "\u{e4}", &"x".repeat(256)] {
        assert_eq!(
            app.keyed("alice", key, "/v1/net/vpn", network()).await.wrong_fields(400),
            ["/Idempotency-Key"],
            "{key:?}"
        );
    }
}

#[tokio::test]
async fn requests_at_once_with_same_idempotency_key_are_done_once() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let body = network();
    let responses =
        futures_util::future::join_all((0..20).map(|_| app.keyed("alice", "k", "/v1/net/vpn", body.clone()))).await;
    for response in &responses {
        assert!(
            response.status == 201 || response.expect(409)["code"] == "idempotency_key_in_use",
            "{}",
            response.text
        );
    }
    assert_eq!(app.networks().await, 1);
    app.keyed("alice", "k", "/v1/net/vpn", body).await.expect(201);
}

#[tokio::test]
async fn request_repeated_while_first_is_running_returns_conflict() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let body = network();
    let mut holder = app.pool.begin().await.expect("PostgreSQL");
    sqlx::query("select from vpn_pool for update").execute(&mut *holder).await.expect("locked");
    let first = app.keyed("alice", "k", "/v1/net/vpn", body.clone());
    let meanwhile = async {
        until_somebody_waits(&app.pool).await;
        let again = app.keyed("alice", "k", "/v1/net/vpn", body.clone());
        let again = tokio::time::timeout(Duration::from_secs(20), again).await.expect("it does not wait for the first");
        assert_eq!(again.expect(409)["code"], "idempotency_key_in_use");
        holder.rollback().await.expect("unlocked");
    };
    let (first, ()) = tokio::join!(first, meanwhile);
    first.expect(201);
    assert_eq!(app.keyed("alice", "k", "/v1/net/vpn", body).await.text, first.text);
}

#[tokio::test]
async fn idempotency_record_with_secret_is_stored_encrypted() {
    let app = TestApp::start().await;
    let body = json!({ "name": "x", "scopes": ["read"] });
    let first = app.keyed("alice", "k", "/v1/token", body.clone()).await.expect(201);
    let again = app.keyed("alice", "k", "/v1/token", body).await.expect(201);
    assert_eq!(again["secret"], first["secret"]);
    let secret = first["secret"].as_str().expect("a secret");
    let bytes: Vec<u8> = sqlx::query_scalar("select body from idempotency").fetch_one(&app.pool).await.expect("a row");
    assert!(!bytes.windows(16).any(|window| secret.as_bytes().windows(16).any(|part| part == window)));
}

#[tokio::test]
async fn token_create_by_token_with_used_idempotency_key_is_refused() {
    let app = TestApp::start().await;
    let body = json!({ "name": "x", "scopes": ["read", "write"] });
    let made = app.post("/v1/token", "alice", body.clone()).await.expect(201);
    let token = format!("Bearer {}", made["secret"].as_str().expect("a secret"));
    let by_token = async |key: &str| {
        let headers = [("authorization", token.as_str()), ("idempotency-key", key)];
        let request = headers
            .into_iter()
            .fold(app.client.post(app.url("/v1/token")), |request, (name, value)| request.header(name, value));
        request.json(&body).send().await.expect("a response").status().as_u16()
    };
    app.keyed("alice", "first", "/v1/token", body.clone()).await.expect(201);
    assert_eq!(by_token("first").await, 403, "whoever has a token does not get the secret of another");
    assert_eq!(by_token("second").await, 403);
    let later = app.keyed("alice", "second", "/v1/token", body.clone()).await;
    assert_eq!((later.status.as_u16(), later.header("idempotency-replayed")), (201, ""), "the refusal is not kept");
}

#[tokio::test]
async fn idempotency_key_of_dead_attempt_is_reused_if_nothing_changed() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let body = network();
    let made = app.keyed("alice", "k", "/v1/net/vpn", body.clone()).await.expect(201);
    // As if the server had died before it could record the response.
    let died =
        "update idempotency set status = null, body = null, body_key_id = null, location = null, content_type = null";
    sqlx::query(died).execute(&app.pool).await.expect("died");
    let again = async || app.keyed("alice", "k", "/v1/net/vpn", body.clone()).await;
    assert_eq!(again().await.expect(409)["code"], "idempotency_key_in_use");
    sqlx::query("update idempotency set claimed_at = now() - interval '2 minutes'")
        .execute(&app.pool)
        .await
        .expect("long ago");
    assert_eq!(again().await.expect(409)["code"], "response_lost");
    assert_eq!(app.networks().await, 1);
    // As if it had died before the change.
    app.delete(&format!("/v1/net/vpn/{}", made["id"]), "alice").await.expect(202);
    sqlx::query("update idempotency set changed = false").execute(&app.pool).await.expect("died earlier");
    again().await.expect(201);
    assert_eq!(app.networks().await, 2);
    // What the dead one still tries after that is refused.
    let error = sqlx::query("select idempotency_changed(2, 'k', 1)").execute(&app.pool).await.expect_err("taken over");
    assert_eq!(error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(), Some("40001"));
}

#[tokio::test]
async fn request_failing_with_500_is_not_recorded_and_can_be_retried() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let body = network();
    sqlx::query("alter table vpn_network rename to away").execute(&app.pool).await.expect("broken");
    app.keyed("alice", "k", "/v1/net/vpn", body.clone()).await.expect(500);
    sqlx::query("alter table away rename to vpn_network").execute(&app.pool).await.expect("mended");
    app.keyed("alice", "k", "/v1/net/vpn", body).await.expect(201);
    assert_eq!(app.networks().await, 1);
}

#[tokio::test]
async fn request_repeated_after_disconnect_returns_recorded_response() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    let body = network();
    let mut obstacle = app.pool.begin().await.expect("a transaction");
    sqlx::query("lock table vpn_network in share mode").execute(&mut *obstacle).await.expect("a lock");
    let waits = async {
        let waiting = "select exists (select from pg_locks where not granted and relation = 'vpn_network'::regclass)";
        while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&app.pool).await.expect("a response") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        response = app.keyed("alice", "k", "/v1/net/vpn", body.clone()) => panic!("{}", response.text),
        () = waits => {} // and the connection is closed
    }
    obstacle.commit().await.expect("out of the way");
    let stored = async {
        loop {
            let response = app.keyed("alice", "k", "/v1/net/vpn", body.clone()).await;
            if response.status != 409 {
                return response;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let response = tokio::time::timeout(Duration::from_secs(20), stored).await.expect("a response");
    response.expect(201);
    assert_eq!(response.header("idempotency-replayed"), "true");
    assert_eq!(app.networks().await, 1);
}

#[tokio::test]
async fn idempotency_keys_older_than_a_day_are_deleted() {
    let url = database_url().await;
    let pool = PgPool::connect(url.expose()).await.expect("database");
    sqlx::query(
        "insert into idempotency (user_id, key, request_hash, created_at)
         select 2, n::text, sha256(''), now() - make_interval(hours => case n when 1 then 23 else 25 end)
         from generate_series(1, 1201) n",
    )
    .execute(&pool)
    .await
    .expect("keys");
    let app = TestApp::start_on(url).await;
    let keys = async || -> Vec<String> {
        sqlx::query_scalar("select key from idempotency").fetch_all(&app.pool).await.expect("keys")
    };
    let forgotten = async {
        while keys().await.len() > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), forgotten).await.expect("forgotten");
    assert_eq!(keys().await, ["1"]);
}
