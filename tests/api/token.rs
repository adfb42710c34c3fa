//! Tokens: each can do less than its user, and ends with the user.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uncloud::accounts::{AccountSettings, DirectorySettings};
use uncloud_testkit::servers::{STAFF_GROUP, Slapd, password_of};

use crate::{
    app::{ApiResponse, PASSWORD, TestApp, database_url},
    ldap::{REMEMBER, forgotten, start},
};

impl TestApp {
    async fn token(&self, user: &str, scopes: &[&str]) -> Value {
        self.post("/v1/token", user, json!({ "name": "backup", "scopes": scopes })).await.expect(201)
    }

    async fn bearer(&self, method: Method, path: &str, token: &Value, body: Option<Value>) -> ApiResponse {
        let secret = token["secret"].as_str().expect("a secret");
        self.authorized(method, path, &format!("Bearer {secret}"), body).await
    }

    async fn reads(&self, token: &Value) -> u16 {
        self.bearer(Method::GET, "/v1/net/vpn", token, None).await.status.as_u16()
    }
}

#[tokio::test]
async fn token_secret_after_create_is_shown_once_and_stored_as_hash() {
    let app = TestApp::start().await;
    let response = app
        .post("/v1/token", "alice", json!({ "name": "backup", "scopes": ["write", "read"], "expires_in_days": "7" }))
        .await;
    let token = response.expect(201);
    assert_eq!(response.header("location"), "/v1/token/1");
    assert_eq!(token["scopes"], json!(["read", "write"]));
    assert_eq!(app.reads(&token).await, 200);
    let secret = token["secret"].as_str().expect("a secret");
    assert!(secret.starts_with(token["prefix"].as_str().expect("a prefix")) && secret.len() == 47, "{secret}");
    for (path, user) in [("/v1/token", "alice"), ("/v1/token/1", "alice"), ("/v1/admin/audit", "admin")] {
        let text = app.get(path, user).await.text;
        assert!(!text.contains(secret), "{path} shows the secret");
    }
    let rows: Vec<String> =
        sqlx::query_scalar("select token::text from token").fetch_all(&app.pool).await.expect("rows");
    assert!(!rows[0].contains(secret), "nor does the table");
    let listed = app.get("/v1/token", "alice").await.expect(200);
    assert!(listed["items"][0]["last_used_at"].is_string(), "{listed}");
    assert_eq!(app.get("/v1/token", "bob").await.expect(200)["items"], json!([]));
    app.get("/v1/token/1", "bob").await.expect(404);
    app.delete("/v1/token/1", "bob").await.expect(404);
    app.delete("/v1/token/1", "alice").await.expect(204);
    assert_eq!(app.reads(&token).await, 401, "revoked at once, though it was remembered");
}

#[tokio::test]
async fn token_delete_by_staff_leaves_other_tokens_valid() {
    let app = TestApp::start().await;
    let (stolen, other) = (app.token("alice", &["read"]).await, app.token("alice", &["read"]).await);
    assert_eq!((app.reads(&stolen).await, app.reads(&other).await), (200, 200));
    let alice = app.get("/v1/admin/user?username=alice", "admin").await.expect(200)["items"][0]["id"].clone();
    let listed = app.get(&format!("/v1/admin/user/{alice}/token?sort=id:desc"), "admin").await;
    let ids: Vec<Value> =
        listed.expect(200)["items"].as_array().expect("tokens").iter().map(|token| token["id"].clone()).collect();
    assert_eq!(ids, [other["id"].clone(), stolen["id"].clone()]);
    assert!(!listed.text.contains("secret"), "{}", listed.text);
    app.delete(&format!("/v1/admin/user/1/token/{}", stolen["id"]), "admin").await.expect(404);
    app.delete(&format!("/v1/admin/user/{alice}/token/{}", stolen["id"]), "admin").await.expect(204);
    assert_eq!((app.reads(&stolen).await, app.reads(&other).await), (401, 200));
}

#[tokio::test]
async fn token_scopes_on_each_operation_limit_access() {
    let app = TestApp::start().await;
    let document = app.request(Method::GET, "/openapi.json", None, None).await.expect(200);
    let tokens = [vec!["read"], vec!["write"], vec!["staff"], vec!["read", "staff"], vec!["read", "write"]];
    for scopes in tokens {
        let token = app.token("admin", &scopes).await;
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let security = operation.get("security").unwrap_or(&document["security"]);
                let security = security.as_array().expect("ways to sign in");
                let admin = path.starts_with("/v1/admin/") || path == "/metrics";
                let needed = if method == "get" { "read" } else { "write" };
                let public = security.is_empty() || security.iter().any(|way| way == &json!({}));
                // Where nobody needs one, a token that is sent takes nothing away.
                let mut allowed = public || scopes.contains(&needed) && (!admin || scopes.contains(&"staff"));
                let bearer = public || security.iter().any(|way| way.get("bearer").is_some());
                allowed &= bearer;
                let asked = method.to_uppercase().parse().expect("a method");
                let address = path.replace("{id}", "999").replace("{line}", "999").replace("{name}", "nothing");
                let response = app.bearer(asked, &address, &token, None).await;
                assert_eq!(response.status != 403, allowed, "{method} {path} with {scopes:?}: {}", response.text);
                if !allowed && bearer {
                    assert_eq!(response.json()["code"], "insufficient_scope", "{method} {path}");
                }
            }
        }
    }
}

#[tokio::test]
async fn staff_token_without_staff_scope_has_customer_view() {
    let app = TestApp::start().await;
    let pool = app.handbook_pool().await;
    let path = format!("/v1/job/{}", pool["job"]["id"]);
    let (plain, staff) = (app.token("admin", &["read"]).await, app.token("admin", &["read", "staff"]).await);
    assert!(app.bearer(Method::GET, &path, &staff, None).await.expect(200)["queue"].is_string());
    assert!(app.bearer(Method::GET, &path, &plain, None).await.expect(200).get("queue").is_none());
}

#[tokio::test]
async fn token_create_or_use_with_invalid_values_is_refused() {
    let app = TestApp::start().await;
    let body = |scopes: Value| json!({ "name": "x", "scopes": scopes });
    assert_eq!(app.post("/v1/token", "alice", body(json!(["staff"]))).await.wrong_fields(422), ["/scopes"]);
    assert_eq!(app.post("/v1/token", "alice", body(json!([]))).await.wrong_fields(422), ["/scopes"]);
    assert_eq!(app.post("/v1/token", "alice", body(json!(["root"]))).await.wrong_fields(422), ["/scopes"]);
    assert_eq!(app.post("/v1/token", "alice", body(json!(["read", "read"]))).await.wrong_fields(422), ["/scopes"]);
    assert_eq!(
        app.post("/v1/token", "alice", json!({ "expires_in_days": 367 })).await.wrong_fields(422),
        ["/name", "/scopes", "/expires_in_days"]
    );
    let token = app.token("alice", &["read", "write"]).await;
    let made = app.bearer(Method::POST, "/v1/token", &token, Some(body(json!(["read"])))).await;
    assert_eq!(made.expect(403)["code"], "forbidden", "a token makes no tokens");
    let secret = token["secret"].as_str().expect("a secret");
    for wrong in [
        String::new(),
        "unc_".into(),
        format!("{secret}x"),
        secret.replace("unc_", "unc-"),
        format!("unc_{}", "A".repeat(43)),
    ] {
        let response = app.authorized(Method::GET, "/api", &format!("Bearer {wrong}"), None).await;
        response.expect(401);
        let ways: Vec<_> =
            response.headers.get_all("www-authenticate").iter().map(|way| way.to_str().expect("text")).collect();
        assert!(ways[0].starts_with("Basic ") && ways[1].starts_with("Bearer "), "{ways:?}");
    }
    assert_eq!(app.authorized(Method::GET, "/api", &format!("bearer {secret}"), None).await.status, 200);
    for constraint in [
        ("token_scopes", "update token set scopes = '{root}'"),
        ("token_scopes", "update token set scopes = '{}'"),
        ("token_expiry", "update token set expires_at = created_at + interval '367 days'"),
        ("token_secret_hash_length", "update token set secret_hash = ''"),
        ("token_prefix_form", "update token set prefix = 'unc_'"),
    ] {
        let error = sqlx::query(constraint.1).execute(&app.pool).await.expect_err(constraint.1);
        assert_eq!(error.as_database_error().and_then(|error| error.constraint()), Some(constraint.0));
    }
}

#[tokio::test]
async fn token_after_expiry_is_refused() {
    let app = TestApp::start().await;
    let token = app.token("alice", &["read"]).await;
    sqlx::query("update token set created_at = now() - interval '1 day', expires_at = now() + interval '5 seconds'")
        .execute(&app.pool)
        .await
        .expect("soon over");
    assert_eq!(app.reads(&token).await, 200, "remembered, but no longer than it lives");
    let over = async {
        while app.reads(&token).await == 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), over).await.expect("it ends");
    assert_eq!(app.reads(&token).await, 401);
}

#[tokio::test]
async fn token_create_beyond_limit_returns_conflict() {
    let app = TestApp::start().await;
    sqlx::query(
        "insert into token (user_id, name, secret_hash, prefix, scopes, expires_at)
         select 2, 'x', sha256(i::text::bytea), 'unc_aaaaaaaa', '{read}', now() + interval '1 day' from generate_series(1, 100) i",
    )
    .execute(&app.pool)
    .await
    .expect("tokens");
    let response = app.post("/v1/token", "alice", json!({ "name": "x", "scopes": ["read"] })).await;
    assert_eq!(response.expect(409)["code"], "too_many_tokens");
    app.token("bob", &["read"]).await;
}

async fn made_by(app: &TestApp, user: &str, password: &str, scopes: Value) -> Value {
    let credentials = STANDARD.encode(format!("{user}:{password}"));
    let body = json!({ "name": "x", "scopes": scopes });
    app.authorized(Method::POST, "/v1/token", &format!("Basic {credentials}"), Some(body)).await.expect(201)
}

#[tokio::test]
async fn token_of_directory_user_follows_directory_changes() {
    let mut slapd = Slapd::start();
    let app = start(slapd.settings()).await;
    let make = async |user: &str, scopes| made_by(&app, user, &password_of(user), scopes).await;
    let carol = make("carol", json!(["read"])).await;
    let dave = make("dave", json!(["read", "staff"])).await;
    let erin = make("erin", json!(["read"])).await;
    let binds = slapd.user_binds();
    let users = async |token: &Value| app.bearer(Method::GET, "/v1/admin/user", token, None).await.status.as_u16();
    for token in [&carol, &dave, &erin] {
        assert_eq!(app.reads(token).await, 200);
    }
    assert_eq!((users(&carol).await, users(&dave).await), (403, 200));
    slapd.delete("uid=Carol,ou=users,dc=test").await;
    slapd.replace("uid=erin,ou=users,dc=test", "pwdAccountLockedTime", "000001010000Z").await;
    slapd.replace(STAFF_GROUP, "member", "uid=erin,ou=users,dc=test").await;
    forgotten().await;
    assert_eq!(app.reads(&carol).await, 401, "deleted");
    assert_eq!(app.reads(&erin).await, 401, "locked");
    assert_eq!((app.reads(&dave).await, users(&dave).await), (200, 403), "no longer staff");
    assert_eq!(slapd.user_binds(), binds, "nobody's password was needed");
    slapd.stop();
    forgotten().await;
    assert_eq!(app.reads(&dave).await, 503, "an outage is not a refusal");
    let bob = app.post("/v1/token", "bob", json!({ "name": "x", "scopes": ["read"] })).await.expect(201);
    assert_eq!(app.reads(&bob).await, 200, "of a local user: {PASSWORD}");
}

#[tokio::test]
async fn token_last_use_within_a_minute_is_recorded_once() {
    let app = TestApp::start_accounts(AccountSettings { remember: REMEMBER, ..AccountSettings::default() }).await;
    let token = app.token("alice", &["read"]).await;
    let last_use = async || {
        forgotten().await;
        assert_eq!(app.reads(&token).await, 200);
        app.get("/v1/token/1", "alice").await.expect(200)["last_used_at"].clone()
    };
    let first = last_use().await;
    assert!(first.is_string());
    assert_eq!(last_use().await, first);
    sqlx::query("update token set last_used_at = now() - interval '61 s'").execute(&app.pool).await.expect("long ago");
    assert!(last_use().await.as_str() > first.as_str());
    let entries: i64 =
        sqlx::query_scalar("select count(*) from audit where kind = 'token'").fetch_one(&app.pool).await.expect("some");
    assert_eq!(entries, 1, "that changes nothing");
}

#[tokio::test]
async fn tokens_expired_thirty_days_ago_are_deleted() {
    let url = database_url().await;
    let pool = PgPool::connect(url.expose()).await.expect("database");
    sqlx::query(
        "insert into token (user_id, name, secret_hash, prefix, scopes, created_at, expires_at)
         select 2, days::text, sha256(days::text::bytea), 'unc_aaaaaaaa', '{read}', now() - interval '90 days',
             now() - make_interval(days => days) from generate_series(29, 31) days",
    )
    .execute(&pool)
    .await
    .expect("tokens");
    let app = TestApp::start_on(url).await;
    let names = async || -> Vec<String> {
        sqlx::query_scalar("select name from token order by 1").fetch_all(&app.pool).await.expect("names")
    };
    let forgotten = async {
        while names().await.len() == 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), forgotten).await.expect("forgotten");
    assert_eq!(names().await, ["29"], "the others ended 30 days ago or earlier");
}

#[tokio::test]
async fn token_of_user_signed_in_by_mail_is_resolved_by_name() {
    let slapd = Slapd::start();
    let app = start(DirectorySettings { filter: "(mail={username})".into(), ..slapd.settings() }).await;
    let secret = made_by(&app, "dave@example.ch", &password_of("dave"), json!(["read", "staff"])).await;
    assert_eq!(app.bearer(Method::GET, "/v1/admin/user", &secret, None).await.status, 200);
}
