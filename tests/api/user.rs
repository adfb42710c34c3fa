//! Staff shut users out, let them in again, and say who is staff.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use uncloud::accounts::{self, AccountSettings, NewPassword};
use uncloud_testkit::servers::{Slapd, password_of};

use crate::{
    app::{PASSWORD, TestApp},
    cli::{beside, refused, run, uncloud},
    ldap::{REMEMBER, forgotten, start},
};

const BOB: &str = "/v1/admin/user/3";

async fn app() -> TestApp {
    app_that_remembers(REMEMBER).await
}

async fn app_that_remembers(remember: Duration) -> TestApp {
    TestApp::start_accounts(AccountSettings { directory: None, remember }).await
}

fn new_password(text: &str) -> NewPassword {
    NewPassword::new(&text.to_owned().into()).expect("long enough")
}

impl TestApp {
    async fn edit(&self, path: &str, user: &str, body: serde_json::Value) -> crate::app::ApiResponse {
        self.request(Method::PATCH, path, Some(user), Some(body)).await
    }

    async fn status(&self, path: &str, user: &str) -> u16 {
        self.get(path, user).await.status.as_u16()
    }
}

#[tokio::test]
async fn user_after_lock_cannot_use_password_or_tokens() {
    let app = app().await;
    let token = app.post("/v1/token", "bob", json!({ "name": "backup", "scopes": ["read"] })).await.expect(201);
    let bearer = format!("Bearer {}", token["secret"].as_str().expect("a secret"));
    let with_token = async || app.authorized(Method::GET, "/v1/net/vpn", &bearer, None).await.status.as_u16();
    assert_eq!((with_token().await, app.status("/v1/net/vpn", "bob").await), (200, 200));
    let locked = app.edit(BOB, "admin", json!({ "locked": true })).await.expect(200);
    assert_eq!((&locked["locked"], &locked["staff"], &locked["vpn_quota"]), (&json!(true), &json!(false), &json!(8)));
    forgotten().await;
    assert_eq!((with_token().await, app.status("/v1/net/vpn", "bob").await), (401, 401));
    assert_eq!(app.status("/v1/net/vpn", "alice").await, 200);
    let entry = app.get("/v1/admin/audit?kind=user&limit=1", "admin").await.expect(200)["items"][0].clone();
    assert_eq!((&entry["before"]["locked"], &entry["after"]["locked"]), (&json!(false), &json!(true)));
    app.edit(BOB, "admin", json!({ "locked": "false" })).await.expect(200);
    assert_eq!(with_token().await, 200);
    let elsewhere = app.login("bob", PASSWORD, "192.0.2.2").await.status.as_u16();
    assert_eq!(elsewhere, 200, "where no wrong password was counted");
}

#[tokio::test]
async fn staff_role_change_by_others_works_and_by_oneself_is_refused() {
    let app = app().await;
    assert_eq!(app.status("/v1/admin/user", "bob").await, 403);
    assert_eq!(app.edit(BOB, "admin", json!({ "staff": true })).await.expect(200)["staff"], true);
    forgotten().await;
    assert_eq!(app.status("/v1/admin/user", "bob").await, 200);
    let himself = app.edit(BOB, "bob", json!({ "staff": false, "locked": true, "vpn_quota": 1 })).await;
    assert_eq!(himself.wrong_fields(422), ["/locked", "/staff"]);
    let unchanged = app.get(BOB, "admin").await.expect(200);
    assert_eq!((&unchanged["staff"], &unchanged["vpn_quota"]), (&json!(true), &json!(8)), "nothing was written");
    app.edit(BOB, "bob", json!({ "staff": true, "locked": false })).await.expect(200);
    app.edit(BOB, "admin", json!({ "staff": false })).await.expect(200);
    forgotten().await;
    assert_eq!(app.status("/v1/admin/user", "bob").await, 403);
}

#[tokio::test]
async fn user_update_by_just_locked_staff_is_refused() {
    let app = app_that_remembers(Duration::from_mins(10)).await;
    app.edit(BOB, "admin", json!({ "staff": true })).await.expect(200);
    app.get("/v1/admin/user", "bob").await.expect(200);
    app.edit(BOB, "admin", json!({ "locked": true })).await.expect(200);
    for (path, body) in [(BOB, json!({ "locked": false })), ("/v1/admin/user/2", json!({ "staff": true }))] {
        app.edit(path, "bob", body).await.expect(403); // the server remembers bob as staff
    }
    app.edit(BOB, "admin", json!({ "locked": false })).await.expect(200);
    app.get("/v1/admin/user", "bob").await.expect(200);
    let (admin, demote) = ("/v1/admin/user/1", json!({ "staff": false }));
    let (one, other) = tokio::join!(app.edit(admin, "bob", demote.clone()), app.edit(BOB, "admin", demote));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403], "of two who shut out each other one is left");
}

#[tokio::test]
async fn user_update_of_role_or_lock_by_token_is_refused() {
    let app = app().await;
    let token = json!({ "name": "ops", "scopes": ["read", "write", "staff"] });
    let token = app.post("/v1/token", "admin", token).await.expect(201);
    let bearer = format!("Bearer {}", token["secret"].as_str().expect("a secret"));
    let edit = async |body| app.authorized(Method::PATCH, BOB, &bearer, Some(body)).await;
    edit(json!({ "staff": true })).await.expect(403);
    edit(json!({ "locked": false, "vpn_quota": 9 })).await.expect(403);
    assert_eq!(edit(json!({ "vpn_quota": 9 })).await.expect(200)["staff"], false);
}

#[tokio::test]
async fn ensure_staff_user_of_locked_user_restores_staff_access() {
    let app = app().await;
    app.edit(BOB, "admin", json!({ "locked": true })).await.expect(200);
    let (bob, password) = ("bob".parse().expect("a name"), new_password(PASSWORD));
    uncloud::accounts::ensure_staff_user(&app.pool, &bob, &password).await.expect("PostgreSQL");
    app.get("/v1/admin/user", "bob").await.expect(200);
}

#[tokio::test]
async fn directory_user_when_locked_locally_cannot_log_in() {
    let slapd = Slapd::start();
    let app = start(slapd.settings()).await;
    let carol = async |from| app.login("carol", &password_of("carol"), from).await.status.as_u16();
    assert_eq!(carol("192.0.2.1").await, 200);
    let found = app.get("/v1/admin/user?username=carol", "admin").await.expect(200);
    let path = format!("/v1/admin/user/{}", found["items"][0]["id"]);
    app.edit(&path, "admin", json!({ "locked": true })).await.expect(200);
    forgotten().await;
    assert_eq!(carol("192.0.2.1").await, 401);
    app.edit(&path, "admin", json!({ "locked": false })).await.expect(200);
    assert_eq!(carol("192.0.2.2").await, 200, "there she was never refused");
}

#[tokio::test]
async fn user_lock_and_promote_commands_change_and_revert_user() {
    let app = app().await;
    let url = app.database_url.expose().clone();
    let changed = move |verb: &'static str, name: &'static str| {
        let url = url.clone();
        beside(move || run(uncloud(&["user", verb, name]).env("DATABASE_URL", url), "").status.success())
    };
    assert!(changed("lock", "bob").await && changed("promote", "bob").await);
    let bob = app.get(BOB, "admin").await.expect(200);
    assert_eq!((&bob["locked"], &bob["staff"]), (&json!(true), &json!(true)));
    assert!(changed("unlock", "bob").await && changed("demote", "bob").await);
    let bob = app.get(BOB, "admin").await.expect(200);
    assert_eq!((&bob["locked"], &bob["staff"]), (&json!(false), &json!(false)));
    let url = app.database_url.expose().clone();
    beside(move || {
        refused(uncloud(&["user", "lock", "nobody"]).env("DATABASE_URL", url), "", &["user nobody not found"]);
    })
    .await;
}

/// Another password than the users', in both of its forms.
const COMPOSED: &str = "gr\u{fc}ezi mitenand";
const DECOMPOSED: &str = "gru\u{308}ezi mitenand";

#[tokio::test]
async fn password_update_takes_effect_at_once_and_revokes_tokens() {
    let app = TestApp::start().await;
    let token =
        app.post("/v1/token", "alice", json!({ "name": "laptop", "scopes": ["read", "write"] })).await.expect(201);
    let bearer = format!("Bearer {}", token["secret"].as_str().expect("a secret"));
    let with_token = async |method: Method, path: &str, body| app.authorized(method, path, &bearer, body).await.status;
    assert_eq!(with_token(Method::GET, "/v1/net/vpn", None).await, 200);
    let body = |old: &str, new: &str| json!({ "old_password": old, "new_password": new });
    assert_eq!(
        with_token(Method::PUT, "/v1/password", Some(body(PASSWORD, COMPOSED))).await,
        403,
        "a token may be stolen"
    );
    let refused = app.put("/v1/password", "alice", body("another password", COMPOSED)).await;
    assert_eq!(refused.wrong_fields(422), ["/old_password"]);
    let short = app.put("/v1/password", "alice", body(PASSWORD, &"\u{fc}".repeat(7))).await;
    assert_eq!(short.wrong_fields(422), ["/new_password"]);
    assert!(short.text.contains("has 7 characters") && !short.text.contains('\u{fc}'), "{}", short.text);
    assert_eq!(app.put("/v1/password", "alice", body(PASSWORD, DECOMPOSED)).await.status, 204);
    for (password, status) in [(PASSWORD, 401), (COMPOSED, 200), (DECOMPOSED, 200)] {
        assert_eq!(app.login("alice", password, "192.0.2.1").await.status, status, "{password}");
    }
    assert_eq!(with_token(Method::GET, "/v1/net/vpn", None).await, 401);
}

#[tokio::test]
async fn password_update_of_directory_user_is_refused() {
    let slapd = Slapd::start();
    let app = start(slapd.settings()).await;
    let body = json!({ "old_password": password_of("carol"), "new_password": COMPOSED });
    let request = app.client.put(app.url("/v1/password")).basic_auth("carol", Some(password_of("carol"))).json(&body);
    let response = request.send().await.expect("a response");
    assert_eq!(response.status(), 409);
    let problem: serde_json::Value = response.json().await.expect("a problem");
    assert_eq!(problem["code"], "password_in_directory");
}

#[tokio::test]
async fn bootstrap_with_new_password_revokes_tokens_and_with_the_same_one_does_not() {
    let app = app().await;
    app.post("/v1/token", "bob", json!({ "name": "laptop", "scopes": ["read"] })).await.expect(201);
    let bob = "bob".parse().expect("a name");
    let tokens = async || -> i64 {
        sqlx::query_scalar("select count(*) from token").fetch_one(&app.pool).await.expect("a count")
    };
    for (password, left) in [(PASSWORD, 1), (COMPOSED, 0)] {
        accounts::bootstrap(&app.pool, &bob, false, Some(&new_password(password))).await.expect("a user");
        assert_eq!(tokens().await, left, "{password}");
    }
}

#[tokio::test]
async fn login_of_directory_user_takes_as_long_as_of_local_user() {
    let slapd = Slapd::start();
    let app = start(slapd.settings()).await;
    // In turns, and the fastest of each: whatever else this machine does slows both down.
    let (mut local, mut directory) = (Duration::MAX, Duration::MAX);
    for guess in 0..8 {
        for (user, fastest) in [("alice", &mut local), ("carol", &mut directory)] {
            let started = Instant::now();
            let address = format!("2001:db8:{user}:{guess}::1", user = user.len());
            assert_eq!(app.login(user, &format!("wrong {guess}"), &address).await.status, 401);
            *fastest = started.elapsed().min(*fastest);
        }
    }
    assert!(directory > local / 2, "{directory:?} of a directory's user, {local:?} of a local one");
}
