//! Callers that are slow, many, or gone: none of them keeps the server from the others.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use uncloud::{http::TrustedProxies, server::listen::Limits};

use crate::app::TestApp;

/// Short, so that the tests are.
const PATIENCE: Duration = Duration::from_millis(600);

async fn app(limits: Limits) -> TestApp {
    TestApp::start_changed(|settings| {
        settings.limits = limits;
        settings.proxies = TrustedProxies::default();
    })
    .await
}

fn connect(app: &TestApp) -> TcpStream {
    let stream = TcpStream::connect(app.address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    stream
}

/// Reads until the server closes the connection.
fn until_closed(mut stream: &TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the server keeps the connection"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn is_patient(since: Instant) -> bool {
    (PATIENCE * 9 / 10..PATIENCE * 10).contains(&since.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_with_unfinished_headers_is_closed_after_timeout() {
    let app = app(Limits { headers: PATIENCE, ..Limits::default() }).await;
    let started = Instant::now();
    let (silent, mut slow) = (connect(&app), connect(&app));
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").expect("sent");
    for stream in [&silent, &slow] {
        let response = until_closed(stream);
        assert!(is_patient(started) && !response.contains("200 OK"), "{response} after {:?}", started.elapsed());
    }
    let (started, mut idle) = (Instant::now(), connect(&app));
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let response = until_closed(&idle);
    assert!(response.starts_with("HTTP/1.1 200 OK") && is_patient(started), "{response} after {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn request_with_unfinished_body_returns_408() {
    let app = app(Limits { body: PATIENCE, ..Limits::default() }).await;
    let mut slow = connect(&app);
    // alice:correct horse battery
    let head = "POST /v1/net/vpn HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWxpY2U6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n\
                Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).expect("sent");
    let response = until_closed(&slow);
    assert!(response.starts_with("HTTP/1.1 408 ") && response.contains("\"request_timeout\""), "{response}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_with_unread_response_is_closed_after_timeout() {
    let app = app(Limits { connections: 1, unread_answer: PATIENCE, ..Limits::default() }).await;
    let mut greedy = connect(&app);
    // More than the kernel keeps for somebody who does not read.
    greedy.write_all("GET /docs/swagger-ui.js HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20).as_bytes()).expect("sent");
    let mut other = connect(&app);
    other.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    assert!(until_closed(&other).starts_with("HTTP/1.1 200 OK"), "there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_beyond_limit_of_address_is_refused() {
    let app = app(Limits { of_address: 3, ..Limits::default() }).await;
    let ask = |mut stream: &TcpStream| {
        let sent = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut response = [0; 12];
        sent.and_then(|()| stream.read_exact(&mut response)).is_ok_and(|()| &response == b"HTTP/1.1 200")
    };
    let mut streams: Vec<TcpStream> = (0..3).map(|_| connect(&app)).collect();
    assert!(streams.iter().all(ask));
    assert!(!ask(&connect(&app)), "one too many");
    streams.pop();
    let freed = Instant::now();
    while !ask(&connect(&app)) {
        assert!(freed.elapsed() < Duration::from_secs(5), "a place that was left is free again");
    }
}

/// The head of a request whose body never comes: its connection is busy, and the server says so.
const UNFINISHED: &[u8] =
    b"POST /v1/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWxpY2U6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n\
    Content-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn connection_beyond_total_limit_waits_while_all_are_busy() {
    let app = app(Limits { connections: 2, ..Limits::default() }).await;
    let held: Vec<TcpStream> = (0..2).map(|_| connect(&app)).collect();
    for mut stream in &held {
        stream.write_all(UNFINISHED).expect("sent");
    }
    for mut stream in &held {
        let mut line = [0; 25];
        stream.read_exact(&mut line).expect("the operation waits for the body");
        assert_eq!(&line, b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    let mut waits = connect(&app);
    waits.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    waits.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut byte = [0];
    let kind = waits.read(&mut byte).expect_err("no response yet").kind();
    assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&kind), "{kind}");
    drop(held);
    waits.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    assert!(until_closed(&waits).starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_beyond_total_limit_takes_the_place_of_an_idle_one() {
    let app = app(Limits { connections: 20, ..Limits::default() }).await;
    let idle: Vec<TcpStream> = (0..20).map(|_| connect(&app)).collect();
    for mut stream in idle.iter().take(10) {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nX-Slow: ").expect("sent"); // and no more
    }
    let started = Instant::now();
    for _ in 0..5 {
        let mut good = connect(&app);
        good.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
        assert!(until_closed(&good).starts_with("HTTP/1.1 200 OK"));
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_reads_a_response_slowly_is_closed_after_the_deadline() {
    let app = app(Limits { connections: 1, answer: PATIENCE, ..Limits::default() }).await;
    let mut slow = connect(&app);
    // More than the kernel keeps for somebody who reads a little.
    slow.write_all("GET /docs/swagger-ui.js HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20).as_bytes()).expect("sent");
    let reader = thread::spawn(move || {
        let mut piece = vec![0; 4096];
        let started = Instant::now();
        // A little all the time: each byte that is taken resets the kernel's own timeout.
        while started.elapsed() < PATIENCE * 10 && slow.read(&mut piece).is_ok_and(|count| count > 0) {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let mut other = connect(&app);
    other.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    assert!(until_closed(&other).starts_with("HTTP/1.1 200 OK"), "there is room again");
    reader.join().expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn body_beyond_limit_is_answered_before_the_connection_is_closed() {
    let app = app(Limits::default()).await;
    let head = "POST /v1/net/vpn HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWxpY2U6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n\
                Content-Type: application/json\r\nContent-Length: 8000000\r\n";
    let mut large = connect(&app);
    large.write_all(format!("{head}\r\n").as_bytes()).expect("sent");
    for _ in 0..80 {
        large.write_all(" ".repeat(100_000).as_bytes()).expect("the connection is open");
    }
    let response = until_closed(&large);
    assert!(response.starts_with("HTTP/1.1 413 ") && response.contains("\"content_too_large\""), "{response}");
    // Who asks first sends nothing.
    let mut polite = connect(&app);
    polite.write_all(format!("{head}Expect: 100-continue\r\n\r\n").as_bytes()).expect("sent");
    let response = until_closed(&polite);
    assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
}

#[tokio::test(flavor = "multi_thread")]
async fn body_after_expect_continue_is_read() {
    let app = app(Limits::default()).await;
    let body = r#"{"name": "laptop", "scopes": ["read"]}"#;
    let mut stream = connect(&app);
    let head = format!(
        "POST /v1/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWxpY2U6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut line = [0; 25];
    stream.read_exact(&mut line).expect("an interim response");
    assert_eq!(&line, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).expect("sent");
    let response = until_closed(&stream);
    assert!(response.starts_with("HTTP/1.1 201 "), "{response}");
}
