//! Staff shut users out, let them in again, and say who is staff.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use uncloud::accounts::AccountSettings;
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
    let (bob, password) = ("bob".parse().expect("a name"), PASSWORD.to_owned().into());
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
