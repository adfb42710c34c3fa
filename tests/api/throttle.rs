//! Many wrong passwords.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use uncloud::{accounts::AccountSettings, server::RateLimits};
use uncloud_testkit::servers::{Slapd, directory, password_of};

use crate::{
    app::{ApiResponse, PASSWORD, TestApp},
    ldap::{REMEMBER, forgotten, start},
};

const HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";

#[track_caller]
fn assert_throttled(response: &ApiResponse) -> u64 {
    let problem = response.expect(429);
    assert_eq!(problem["code"], "too_many_requests");
    let seconds: u64 = response.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("wrong passwords")), "{problem}");
    seconds
}

#[tokio::test]
async fn login_after_five_wrong_passwords_is_throttled() {
    let app = TestApp::start().await;
    let (mut wrong, mut waits) = (0, Vec::new());
    // The waits are 1, 2 and 4 seconds; the last one is long enough for all that follows.
    while waits.last() != Some(&4) {
        let response = app.login("alice", &format!("guess {wrong}"), ELSEWHERE).await;
        if response.status == 401 {
            wrong += 1;
            continue;
        }
        assert!(wrong >= 5, "after {wrong}");
        let wait = assert_throttled(&response);
        waits.push(wait);
        if wait < 4 {
            tokio::time::sleep(Duration::from_secs(wait)).await;
        }
    }
    assert_eq!(wrong, 7, "five, and one after each wait: {waits:?}");
    assert_throttled(&app.login("alice", PASSWORD, ELSEWHERE).await);
    assert_eq!(app.login("alice", PASSWORD, HOME).await.status, 200, "at home");
    assert_eq!(app.login("bob", PASSWORD, ELSEWHERE).await.status, 200, "another user");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(app.login("alice", PASSWORD, ELSEWHERE).await.status, 200, "after the wait");
}

#[tokio::test]
async fn login_with_old_password_by_script_does_not_block_the_user() {
    let app = TestApp::start().await;
    let mut responses = Vec::new();
    for _ in 0..20 {
        responses.push(app.login("alice", "the old one", HOME).await.status.as_u16());
        assert_eq!(app.login("alice", PASSWORD, HOME).await.status, 200);
    }
    assert_eq!(responses[..5], [401; 5]);
    assert!(responses.contains(&429), "{responses:?}");
}

#[tokio::test]
async fn login_with_ten_thousand_guesses_rarely_reaches_the_directory() {
    let slapd = Slapd::start();
    let app = TestApp::start_changed(|settings| {
        settings.accounts = AccountSettings { directory: Some(directory(slapd.settings())), remember: REMEMBER };
        settings.rates = RateLimits::NONE; // they would stop most of it
    })
    .await;
    app.login("carol", &password_of("carol"), HOME).await.expect(200);
    let (before, begin) = (slapd.user_binds(), Instant::now());
    let guesses = stream::iter(0..10_000).map(|guess| {
        let app = &app;
        // A third each: one address at one user, one address at many users, many addresses at one user.
        let (user, address) = match guess % 3 {
            0 => ("carol".to_owned(), ELSEWHERE.to_owned()),
            1 => (format!("user{guess}"), "203.0.113.1".to_owned()),
            _ => ("carol".to_owned(), format!("2001:db8:0:{guess:x}::1")),
        };
        async move { app.login(&user, &format!("guess {guess}"), &address).await.status.as_u16() }
    });
    let responses: Vec<u16> = guesses.buffer_unordered(64).collect().await;
    let (binds, took) = (slapd.user_binds() - before, begin.elapsed());
    assert!(responses.iter().all(|status| [401, 429].contains(status)), "neither an outage nor a way in");
    // 5, 20 and 30 at once, some that were under way when it became too many, and what the waits let through.
    let most = 55 + 16 * 3 + 30 * usize::try_from(took.as_secs()).expect("short") / 10 + 20;
    assert!(binds <= most, "{binds} reached the directory in {took:?}");
    forgotten().await;
    app.login("carol", &password_of("carol"), HOME).await.expect(200);
    // Either the last wait is not over, or this guess begins the next one, which applies to the right password too.
    let guess = app.login("carol", "one more guess", ELSEWHERE).await;
    if guess.status == 401 {
        assert_throttled(&app.login("carol", &password_of("carol"), ELSEWHERE).await);
    } else {
        assert_throttled(&guess);
    }
}

#[tokio::test]
async fn logins_at_once_of_one_user_share_directory_binds() {
    let slapd = Slapd::start();
    let app = start(slapd.settings()).await;
    let logins = (0..50).map(|_| app.login("dave", "directory-password-of-dave", HOME));
    for response in futures_util::future::join_all(logins).await {
        response.expect(200);
    }
    // Those that come after a bind has ended may start another one: a few on a busy machine, not one each.
    assert!(slapd.user_binds() <= 10, "{}", slapd.user_binds());
}
