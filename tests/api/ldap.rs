//! Users of a directory, against a real slapd.

use std::time::Duration;

use sqlx::PgPool;
use uncloud::accounts::{self, AccountSettings, DirectorySettings};
use uncloud_testkit::servers::{STAFF_GROUP, Slapd, directory, password_of};

use crate::app::{PASSWORD, TestApp};

const HERE: &str = "192.0.2.1";
/// As long as tests have patience.
pub const REMEMBER: Duration = Duration::from_millis(300);

pub async fn start(settings: DirectorySettings) -> TestApp {
    start_remembering(settings, REMEMBER).await
}

/// Starts a server that remembers right passwords for that long.
pub async fn start_remembering(settings: DirectorySettings, remember: Duration) -> TestApp {
    TestApp::start_accounts(AccountSettings { directory: Some(directory(settings)), remember }).await
}

pub async fn forgotten() {
    tokio::time::sleep(REMEMBER + Duration::from_millis(50)).await;
}

async fn status(app: &TestApp, user: &str) -> u16 {
    app.login(user, &password_of(user), HERE).await.status.as_u16()
}

async fn is_staff(app: &TestApp, user: &str) -> bool {
    status(app, user).await;
    sqlx::query_scalar("select staff from users where username = $1")
        .bind(user)
        .fetch_one(&app.pool)
        .await
        .expect("a row")
}

async fn names(pool: &PgPool) -> Vec<String> {
    accounts::list(pool).await.expect("users").into_iter().map(|user| user.username).collect()
}

#[tokio::test]
async fn login_of_new_directory_user_creates_one_user() {
    let slapd = Slapd::start();
    let app = start(slapd.settings()).await;
    assert_eq!(app.login("carol", "wrong", HERE).await.status, 401);
    assert!(!names(&app.pool).await.contains(&"carol".to_owned()), "only a right password makes a row");
    assert_eq!(app.login("CAROL", &password_of("carol"), HERE).await.status, 200);
    assert_eq!(app.login("carol@example.ch", &password_of("carol"), HERE).await.status, 200, "found by mail");
    assert_eq!(names(&app.pool).await, ["admin", "alice", "bob", "carol"], "one person is one user");
    assert_eq!(app.login("shared@example.ch", &password_of("erin"), HERE).await.status, 401, "two entries");
}

#[tokio::test]
async fn login_with_ldap_filter_or_empty_password_returns_401() {
    let slapd = Slapd::start();
    let app = start(slapd.settings()).await;
    let password = password_of("carol");
    for name in ["*)(uid=*", "*", "carol*", "carol)(uid=*", "c\\61rol", "carol\0", "", "carol)(|(uid=*"] {
        assert_eq!(app.login(name, &password, HERE).await.status, 401, "{name:?}");
    }
    for name in ["carol", "dave", "nobody", "service"] {
        assert_eq!(app.login(name, "", HERE).await.status, 401, "{name:?} without a password");
    }
    assert_eq!(slapd.user_binds(), 6, "as long as for a user: those that a directory could know bind as nobody");
    assert_eq!(status(&app, "carol").await, 200);
}

#[tokio::test]
async fn staff_status_after_group_change_follows_group_or_manual_grant() {
    let slapd = Slapd::start();
    let app = start(slapd.settings()).await;
    assert!(is_staff(&app, "dave").await);
    assert!(!is_staff(&app, "carol").await);
    accounts::bootstrap(&app.pool, &"erin".parse().expect("a name"), true, None).await.expect("by hand");
    assert!(is_staff(&app, "erin").await);

    slapd.replace(STAFF_GROUP, "member", "uid=Carol,ou=users,dc=test").await;
    forgotten().await;
    assert!(!is_staff(&app, "dave").await, "left the group");
    assert!(is_staff(&app, "carol").await, "joined it");
    assert!(is_staff(&app, "erin").await, "never was in it");
    assert_eq!(app.login("dave", &password_of("dave"), HERE).await.status, 200, "still a customer");

    slapd.delete(STAFF_GROUP).await;
    forgotten().await;
    assert!(!is_staff(&app, "carol").await, "without its last member there is no group");
    assert!(is_staff(&app, "erin").await);
}

#[tokio::test]
async fn staff_status_with_unix_group_follows_membership() {
    let slapd = Slapd::start();
    let app = start(DirectorySettings { staff_group: Some("cn=unix,dc=test".into()), ..slapd.settings() }).await;
    assert!(is_staff(&app, "carol").await);
    assert!(!is_staff(&app, "dave").await);
}

#[tokio::test]
async fn login_of_deleted_or_locked_user_after_cache_expiry_returns_401() {
    let slapd = Slapd::start();
    let settings = DirectorySettings { locked_filter: Some("(sn=gone)".into()), ..slapd.settings() };
    let app = start(settings).await;
    for user in ["carol", "dave", "erin", "frank"] {
        assert_eq!(status(&app, user).await, 200, "{user}");
    }
    slapd.delete("uid=Carol,ou=users,dc=test").await;
    slapd.replace("uid=dave,ou=users,dc=test", "pwdAccountLockedTime", "000001010000Z").await;
    slapd.replace("uid=erin,ou=users,dc=test", "sn", "gone").await;
    slapd.replace("uid=frank,ou=users,dc=test", "userPassword", "another").await;
    forgotten().await;
    for user in ["carol", "dave", "erin", "frank"] {
        assert_eq!(status(&app, user).await, 401, "{user}");
    }
    assert_eq!(app.login("frank", "another", HERE).await.status, 200, "with the new password");
}

#[test]
fn password_cache_by_default_expires_within_a_minute() {
    assert!(AccountSettings::default().remember < Duration::from_mins(1));
}

#[tokio::test]
async fn login_of_local_user_beside_directory_uses_local_password() {
    let mut slapd = Slapd::start();
    let app = start(slapd.settings()).await;
    assert_eq!(app.login("bob", PASSWORD, HERE).await.status, 200, "by the local password");
    assert_eq!(status(&app, "bob").await, 401, "the directory's Bob may be somebody else");
    assert_eq!(app.login("bob@example.ch", &password_of("bob"), HERE).await.status, 401, "by any name");
    slapd.stop();
    forgotten().await;
    assert_eq!(app.login("bob", PASSWORD, HERE).await.status, 200, "without the directory, too");
    assert_eq!(app.login("admin", PASSWORD, HERE).await.status, 200);
    assert_eq!(app.login("bob", "wrong", HERE).await.status, 401);
}

#[tokio::test]
async fn local_password_of_directory_user_overrides_directory_role() {
    let slapd = Slapd::start();
    let app = start(slapd.settings()).await;
    assert!(is_staff(&app, "dave").await);
    let name = "dave".parse().expect("a name");
    accounts::bootstrap(
        &app.pool,
        &name,
        false,
        Some(&accounts::NewPassword::new(&PASSWORD.to_owned().into()).expect("long enough")),
    )
    .await
    .expect("a local password");
    forgotten().await;
    assert_eq!(app.login("dave", PASSWORD, HERE).await.status, 200);
    assert!(!is_staff(&app, "dave").await);
}

#[tokio::test]
async fn ldap_over_starttls_or_ldaps_trusts_only_configured_ca() {
    let slapd = Slapd::start();
    let tls = |ca: &str| DirectorySettings { ca_file: Some(slapd.file(ca)), ..slapd.settings() };
    let starttls = |ca: &str| DirectorySettings { starttls: true, ..tls(ca) };
    let ldaps = |ca: &str| DirectorySettings { url: slapd.tls_url(), ..tls(ca) };
    for settings in [starttls("ca.pem"), ldaps("ca.pem")] {
        assert_eq!(status(&start(settings).await, "carol").await, 200);
    }
    let system = DirectorySettings { url: slapd.tls_url(), ..slapd.settings() };
    let before = slapd.user_binds();
    for settings in [starttls("other-ca.pem"), ldaps("other-ca.pem"), system] {
        let response = start(settings).await.login("carol", &password_of("carol"), HERE).await;
        assert_eq!(response.expect(503)["code"], "unavailable");
        assert!(!response.text.contains("ertificate"), "nothing internal: {}", response.text);
    }
    let named = |url: String| url.replace("127.0.0.1", "localhost");
    let by_name = DirectorySettings { url: named(slapd.tls_url()), ..tls("ca.pem") };
    assert_eq!(status(&start(by_name).await, "carol").await, 503, "the certificate is not for this name");
    assert_eq!(slapd.user_binds(), before, "no password went to whom we do not trust");
    let reached = DirectorySettings { url: named(slapd.url()), ..slapd.settings() };
    assert_eq!(status(&start(reached).await, "carol").await, 200, "though the name leads there");
}

#[tokio::test]
async fn login_by_any_name_that_the_filter_takes_works() {
    let slapd = Slapd::start();
    let app = start(slapd.settings()).await;
    for name in ["grace", "Grace.O'Hara+VPN@example.ch"] {
        assert_eq!(app.login(name, &password_of("grace"), HERE).await.status, 200, "{name}");
    }
    assert_eq!(names(&app.pool).await, ["admin", "alice", "bob", "grace"], "one person");
}

#[tokio::test]
async fn login_after_password_reset_by_staff_of_the_directory_returns_401() {
    let slapd = Slapd::start();
    let app = start(slapd.settings()).await;
    assert_eq!(status(&app, "carol").await, 200);
    slapd.replace("cn=policy,dc=test", "pwdMustChange", "TRUE").await;
    // Whoever resets a password tells it to the user, who has to change it.
    slapd.replace("uid=carol,ou=users,dc=test", "pwdReset", "TRUE").await;
    forgotten().await;
    assert_eq!(status(&app, "carol").await, 401, "the password is right, and has to be changed first");
    assert_eq!(status(&app, "dave").await, 200, "nobody else is refused");
}

#[tokio::test]
async fn staff_status_in_group_of_staff_group_counts_only_by_option() {
    let slapd = Slapd::start();
    let group = Some("cn=operators,dc=test".to_owned());
    let direct = DirectorySettings { staff_group: group.clone(), ..slapd.settings() };
    assert!(!is_staff(&start(direct.clone()).await, "dave").await);
    let app = start(DirectorySettings { nested_groups: true, ..direct }).await;
    assert!(is_staff(&app, "dave").await, "by a group that contains the first one, too");
    assert!(!is_staff(&app, "carol").await);
}

#[tokio::test]
async fn login_of_new_entry_with_old_name_is_refused_until_staff_decide() {
    let slapd = Slapd::start();
    let app = start(slapd.settings()).await;
    assert_eq!(status(&app, "erin").await, 200);
    assert_eq!(status(&app, "frank").await, 200);
    for (name, mail) in [("erin", "erin@example.ch"), ("frank", "frank@example.ch")] {
        slapd.delete(&format!("uid={name},ou=users,dc=test")).await;
        slapd.add_user(name, mail).await;
    }
    forgotten().await;
    for name in ["erin", "frank"] {
        assert_eq!(status(&app, name).await, 401, "another person, as far as one can tell");
    }
    let id = async |name: &str| -> i64 {
        let id = "select user_id from users where username = $1";
        sqlx::query_scalar(id).bind(name).fetch_one(&app.pool).await.expect("a row")
    };
    let (erin, frank) = (id("erin").await, id("frank").await);
    accounts::relink(&app.pool, erin).await.expect("the same person");
    assert!(accounts::rename(&app.pool, frank, &"frank-2025".parse().expect("a name")).await.expect("renamed"));
    assert!(!accounts::rename(&app.pool, frank, &"erin".parse().expect("a name")).await.expect("refused"), "taken");
    for name in ["erin", "frank"] {
        // Elsewhere: here, the same password is known to be wrong for a while.
        assert_eq!(app.login(name, &password_of(name), "192.0.2.9").await.status, 200, "{name}");
    }
    assert_eq!(id("erin").await, erin);
    assert_ne!(id("frank").await, frank, "a customer of his own");
}
