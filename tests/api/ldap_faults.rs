//! A directory that is away, silent, slow or talks nonsense is an outage, and never a wrong password.

use std::{
    cell::Cell,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tracing_subscriber::{
    Layer as _, filter::dynamic_filter_fn, fmt::MakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};
use uncloud::accounts::DirectorySettings;
use uncloud_testkit::servers::{SERVICE_PASSWORD, Slapd, password_of};

use crate::{
    app::{PASSWORD, TestApp},
    ldap::{forgotten, start, start_remembering},
};

const HERE: &str = "192.0.2.1";
const HOUR: Duration = Duration::from_hours(1);

#[track_caller]
fn assert_outage(response: &crate::app::ApiResponse) {
    assert_eq!(response.expect(503)["code"], "unavailable");
    assert_eq!(response.header("retry-after"), "5");
}

async fn login(app: &TestApp, user: &str) -> crate::app::ApiResponse {
    app.login(user, &password_of(user), HERE).await
}

#[tokio::test]
async fn login_during_directory_outage_returns_503_unless_cached() {
    let mut slapd = Slapd::start();
    let (app, remembering) = (start(slapd.settings()).await, start_remembering(slapd.settings(), HOUR).await);
    login(&app, "carol").await.expect(200);
    login(&remembering, "carol").await.expect(200);
    slapd.stop();
    login(&remembering, "carol").await.expect(200);
    assert_outage(&login(&remembering, "dave").await);
    assert_outage(&remembering.login("carol", "wrong", HERE).await);
    forgotten().await;
    assert_outage(&login(&app, "carol").await);
    slapd.resume();
    login(&app, "carol").await.expect(200);
    forgotten().await;
    slapd.stop();
    slapd.resume();
    login(&app, "carol").await.expect(200); // the kept connection was lost without our knowing
}

#[tokio::test]
async fn login_with_invalid_directory_settings_returns_503() {
    let slapd = Slapd::start();
    let wrong_password = DirectorySettings { bind_password: Some("x".to_owned().into()), ..slapd.settings() };
    let wrong_base = DirectorySettings { base_dn: "ou=people,dc=test".into(), ..slapd.settings() };
    let no_service = DirectorySettings { bind_dn: None, bind_password: None, ..slapd.settings() };
    for settings in [wrong_password, wrong_base, no_service] {
        assert_outage(&login(&start(settings).await, "carol").await);
    }
}

/// Answers each connection with what it is given; with nothing it is silent.
async fn directory_that_says(response: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(response).await;
            open.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn login_with_silent_or_garbled_directory_returns_503_within_timeout() {
    let slapd = Slapd::start();
    // Nothing; another protocol; a response to nothing; a bind's response (to message 1) whose result is empty; and with a
    // result that is "busy".
    let responses: [&[u8]; 5] = [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x30\x0c\x02\x01\x63\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
        b"\x30\x05\x02\x01\x01\x61\x00",
        b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x33\x04\x00\x04\x00",
    ];
    for response in responses {
        let url = format!("ldap://{}", directory_that_says(response).await);
        for starttls in [false, true] {
            let settings = DirectorySettings { url: url.clone(), starttls, ..slapd.settings() };
            let app = start(DirectorySettings { timeout: Duration::from_millis(300), ..settings }).await;
            let begin = Instant::now();
            let logins = (0..8).map(|_| login(&app, "carol"));
            for response in futures_util::future::join_all(logins).await {
                assert_outage(&response);
            }
            assert!(begin.elapsed() < Duration::from_secs(1), "{:?} for {response:?}", begin.elapsed());
            assert_eq!(app.login("bob", PASSWORD, HERE).await.status, 200, "local users do not care");
        }
    }
}

/// Passes everything on, each piece after a while.
async fn slow_way_to(server: String, delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(server.as_str()).await.expect("slapd");
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            for (mut from, mut to) in [(from_client, to_server), (from_server, to_client)] {
                tokio::spawn(async move {
                    let mut piece = [0; 4096];
                    while let Ok(length @ 1..) = from.read(&mut piece).await {
                        tokio::time::sleep(delay).await;
                        if to.write_all(&piece[..length]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        }
    });
    address
}

#[tokio::test]
async fn login_with_slow_directory_has_one_timeout_for_all_steps() {
    let slapd = Slapd::start();
    let server = slapd.url().replace("ldap://", "");
    let through = async |delay, timeout| {
        let url = format!("ldap://{}", slow_way_to(server.clone(), Duration::from_millis(delay)).await);
        start(DirectorySettings { url, timeout: Duration::from_millis(timeout), ..slapd.settings() }).await
    };
    login(&through(50, 3000).await, "carol").await.expect(200);
    let begin = Instant::now();
    // Each call is quick enough, all of them are not.
    assert_outage(&login(&through(200, 700).await, "carol").await);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

thread_local! {
    static CAPTURES: Cell<bool> = const { Cell::new(false) };
}

/// Everything that is logged on this thread, at any level, by any crate.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn login_failing_or_succeeding_never_logs_or_returns_passwords() {
    let captured = Captured::default();
    let this_thread = dynamic_filter_fn(|_, _| CAPTURES.get());
    let layer = tracing_subscriber::fmt::layer().with_writer(captured.clone()).with_filter(this_thread);
    // A subscriber of this thread only misses what another thread was the first to log.
    tracing_subscriber::registry().with(layer).init();
    CAPTURES.set(true);
    let mut slapd = Slapd::start();
    let settings = slapd.settings();
    let mut responses = format!("{settings:?}");
    let app = start(settings).await;
    let typed = "what-somebody-typed";
    for user in ["carol", "dave", "nobody", "bob"] {
        responses += &login(&app, user).await.text;
        responses += &app.login(user, typed, HERE).await.text;
    }
    slapd.stop();
    for user in ["carol", "erin"] {
        responses += &app.login(user, &format!("{typed}-{user}"), HERE).await.text;
    }
    let wrong_service = DirectorySettings { bind_password: Some(typed.to_owned().into()), ..slapd.settings() };
    slapd.resume();
    assert_outage(&login(&start(wrong_service).await, "carol").await);
    let log = String::from_utf8_lossy(&captured.0.lock().expect("no panic")).into_owned();
    assert!(log.contains("binding as cn=service,dc=test") && log.contains("rc=49"), "the log tells what is wrong");
    assert!(log.contains("request finished") && log.contains("connecting"), "and has been captured");
    let encoded = |user: &str, password: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
    };
    let server_log =
        log.lines().filter(|line| !line.contains("hyper") && !line.contains("reqwest")).collect::<String>();
    for secret in [SERVICE_PASSWORD.to_owned(), password_of("carol"), typed.to_owned(), encoded("carol", typed)] {
        assert!(!responses.contains(&secret) && !server_log.contains(&secret), "{secret}");
    }
}
