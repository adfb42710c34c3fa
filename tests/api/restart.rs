//! A new server takes the place of the old one, under load: nobody is refused, no request fails.

use std::{
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use tokio::task::JoinSet;
use uncloud_testkit::servers::RedisServer;
use uncloud_wire::Secret;

use crate::{
    app::{HOST, PASSWORD, database_url, new_key},
    servers,
};

const RESTARTS: usize = 4;
const CLIENTS: usize = 6;

/// Holds the socket, as systemd does for uncloud.socket.
struct Supervisor {
    socket: TcpListener,
    database_url: Secret<String>,
    redis: RedisServer,
}

impl Supervisor {
    fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("an address")
    }

    fn start(&self) -> Server {
        // As systemd: the socket is file 3, and the variables name the process that it is for.
        let script = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" serve --listen 192.0.2.1:1";
        let socket = OwnedFd::from(self.socket.try_clone().expect("another descriptor"));
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_uncloud")]).env_clear().stdin(Stdio::from(socket));
        command.env("DATABASE_URL", self.database_url.expose()).env("REDIS_URL", self.redis.url().expose());
        command.env("UNCLOUD_SECRET_KEY", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").env("RUST_LOG", "warn");
        Server(command.spawn().expect("sh"))
    }
}

/// A running `uncloud serve`.
struct Server(Child);

impl Server {
    /// Asks it to end, and waits until it has.
    async fn terminate(mut self) {
        kill(Pid::from_raw(self.0.id().try_into().expect("a pid")), Signal::SIGTERM).expect("it runs");
        let ended = tokio::task::spawn_blocking(move || self.0.wait()).await.expect("no panic").expect("its end");
        assert!(ended.success(), "{ended}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Responses that clients have received.
#[derive(Default)]
struct Seen {
    responses: AtomicUsize,
    done: AtomicBool,
}

/// Until the clients have so many more responses.
async fn until_answered(clients: &mut JoinSet<()>, seen: &Seen, more: usize) {
    let (before, since) = (seen.responses.load(Ordering::SeqCst), Instant::now());
    while seen.responses.load(Ordering::SeqCst) < before + more {
        if let Some(client) = clients.try_join_next() {
            client.expect("no request fails");
        }
        assert!(since.elapsed() < Duration::from_mins(1), "the clients get no responses");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Asks and asks, by a connection that is kept or by a new one each time. Every error ends the test.
async fn client(address: SocketAddr, keeps: bool, seen: Arc<Seen>) {
    let idle = if keeps { usize::MAX } else { 0 };
    // No second try: what fails has failed.
    let http = reqwest::Client::builder().pool_max_idle_per_host(idle).retry(reqwest::retry::never());
    let http = http.timeout(Duration::from_secs(20)).build().expect("a client");
    let url = |path: &str| format!("http://{address}{path}");
    while !seen.done.load(Ordering::SeqCst) {
        let body = json!({ "network_size": 48, "wireguard_public_key": new_key().to_string() });
        let create = http.post(url("/v1/net/vpn")).basic_auth("admin", Some(PASSWORD)).json(&body);
        let network = create.send().await.expect("created by somebody");
        assert_eq!(network.status(), 201);
        let list = http.get(url("/v1/net/vpn?limit=1")).basic_auth("admin", Some(PASSWORD));
        assert_eq!(list.send().await.expect("read by somebody").status(), 200);
        seen.responses.fetch_add(2, Ordering::SeqCst);
    }
}

/// Waits for a job that nobody does: at the server's end it returns what there is.
async fn waiter(address: SocketAddr, job: i64, seen: Arc<Seen>) {
    let http = reqwest::Client::new();
    while !seen.done.load(Ordering::SeqCst) {
        let request = http.get(format!("http://{address}/v1/job/{job}?wait=2")).basic_auth("admin", Some(PASSWORD));
        assert_eq!(request.send().await.expect("a response").status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_restart_under_load_fails_no_request() {
    let supervisor = Supervisor {
        socket: TcpListener::bind("127.0.0.1:0").expect("a socket"),
        database_url: database_url().await,
        redis: RedisServer::start(),
    };
    let (address, mut server) = (supervisor.address(), supervisor.start());
    let pool = json!({ "network": "2a0a:e5c1::/32", "subnetwork_size": 48, "vpn_hostname": HOST });
    let request = reqwest::Client::new().post(format!("http://{address}/v1/admin/vpnpool"));
    let response = request.basic_auth("admin", Some(PASSWORD)).json(&pool).send().await.expect("a response");
    let pool: serde_json::Value = response.json().await.expect("JSON");

    let seen = Arc::new(Seen::default());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(address, number % 2 == 0, Arc::clone(&seen)));
    }
    clients.spawn(waiter(address, pool["job"]["id"].as_i64().expect("a job"), Arc::clone(&seen)));
    for _ in 0..RESTARTS {
        until_answered(&mut clients, &seen, 20 * CLIENTS).await;
        let asked = Instant::now();
        server.terminate().await;
        assert!(asked.elapsed() < Duration::from_secs(8), "a long poll holds up nobody: {:?}", asked.elapsed());
        server = supervisor.start();
    }
    until_answered(&mut clients, &seen, 20 * CLIENTS).await;
    seen.done.store(true, Ordering::SeqCst);
    while let Some(client) = clients.join_next().await {
        client.expect("no request fails");
    }
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_has_just_read_one_object_ends_at_once() {
    let (database_url, redis) = (database_url().await, RedisServer::start());
    let server = servers::Server::start(&database_url, &redis, &[]).await;
    for _ in 0..3 {
        let request = reqwest::Client::new().get(format!("http://{}/v1/token/1", server.address));
        assert_eq!(request.basic_auth("alice", Some(PASSWORD)).send().await.expect("a response").status(), 404);
    }
    let asked = Instant::now();
    assert!(server.terminate().await.success());
    assert!(asked.elapsed() < Duration::from_secs(5), "connections at hand hold up nobody: {:?}", asked.elapsed());
}
