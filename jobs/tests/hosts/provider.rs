//! A provider: PostgreSQL, Redis and `uncloud serve` as real processes, and its customers' requests over HTTP.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use uncloud::embedded::throwaway::{ThrowawayPostgres, ThrowawayRedis};

use crate::{
    process::{Process, bare, succeed, uncloud_program, worker_program},
    world::{VPN_HOST, World, wait_until},
};

/// The host that serves the pools.
pub(crate) const HOST: &str = "vpn-1.example.ch";
/// Everybody's.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Everything but a long poll is answered long before, on a busy machine too.
const SHORT_ANSWER: Duration = Duration::from_secs(10);
/// A long poll waits for up to 30 seconds.
const LONGEST_ANSWER: Duration = Duration::from_secs(40);
const SECRET_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Its processes end with the value.
pub(crate) struct Provider {
    server: Option<Process>,
    server_changes: Arc<AtomicUsize>,
    address: String,
    pub(crate) runtime: Arc<Runtime>,
    redis: ThrowawayRedis,
    postgres: ThrowawayPostgres,
}

impl Provider {
    /// Everything as an operator sets it up: schema, the staff user `admin`, the customers, the server.
    pub(crate) fn start(customers: &[&str]) -> Self {
        let postgres = ThrowawayPostgres::start().expect("PostgreSQL");
        let redis = ThrowawayRedis::start().expect("Redis");
        let runtime = Arc::new(Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime"));
        let address = "127.0.0.1:0".to_owned();
        let mut provider = Self { server: None, server_changes: Arc::default(), address, runtime, redis, postgres };
        succeed(provider.uncloud().arg("db-add-defaults"), "");
        for customer in customers {
            succeed(provider.uncloud().args(["bootstrap-user", "--username", customer]), PASSWORD);
        }
        succeed(provider.uncloud().args(["bootstrap-user", "--username", "admin", "--staff"]), PASSWORD);
        provider.start_server();
        provider
    }

    /// The command `uncloud`, which knows this database.
    pub(crate) fn uncloud(&self) -> Command {
        let mut command = Command::new(uncloud_program());
        bare(&mut command).env("DATABASE_URL", self.postgres.url("uncloud").expose());
        command
    }

    /// Starts `uncloud serve`, again on the port that it had.
    pub(crate) fn start_server(&mut self) {
        let mut command = self.uncloud();
        command.args(["serve", "--rate-limit", "0", "--listen", &self.address]);
        command.env("REDIS_URL", self.redis.url().expose()).env("UNCLOUD_SECRET_KEY", SECRET_KEY);
        let mut server = Process::start("uncloud serve", &mut command);
        let address = server.wait_for_line("serving; try /api/ and /docs address=");
        address.trim().clone_into(&mut self.address);
        self.server_changes.fetch_add(1, Ordering::SeqCst);
        self.server = Some(server);
    }

    /// `kill -9`.
    pub(crate) fn kill_server(&mut self) {
        self.server_changes.fetch_add(1, Ordering::SeqCst);
        self.server.take().expect("it runs").kill();
    }

    /// A worker for [`HOST`], on the VPN host. It knows Redis and nothing else.
    pub(crate) fn worker(&self, world: &World, state_dir: &Path) -> Process {
        Process::start("uncloud-worker", &mut self.worker_command(world, state_dir))
    }

    /// The same, not started yet.
    pub(crate) fn worker_command(&self, world: &World, state_dir: &Path) -> Command {
        let mut command = world.command(VPN_HOST, worker_program());
        command.args(["--queue", HOST]).args(host_options(state_dir));
        bare(&mut command).env("REDIS_URL", self.redis.url().expose());
        command
    }

    /// A worker for [`HOST`] that keeps states and configures nothing.
    pub(crate) fn dry_worker(&self, state_dir: &Path) -> Process {
        let mut command = Command::new(worker_program());
        command.args(["--queue", HOST, "--dry-run", "nothing, this is a test", "--state-dir"]).arg(state_dir);
        Process::start("uncloud-worker", bare(&mut command).env("REDIS_URL", self.redis.url().expose()))
    }

    /// Requests of one user.
    pub(crate) fn api(&self, user: &str) -> Api {
        let api = Api::new(&self.runtime, &self.address, user, PASSWORD);
        Api { server_changes: Arc::clone(&self.server_changes), ..api }
    }

    pub(crate) fn redis_url(&self) -> String {
        self.redis.url().expose().clone()
    }

    pub(crate) fn database_url(&self) -> String {
        self.postgres.url("uncloud").expose().clone()
    }
}

/// What a worker and `restore` are told about their machine.
pub(crate) fn host_options(state_dir: &Path) -> [String; 4] {
    let state_dir = state_dir.display().to_string();
    ["--state-dir".into(), state_dir, "--wireguard-implementation".into(), "wireguard-go".into()]
}

/// One user's way to the API.
#[derive(Clone)]
pub(crate) struct Api {
    client: reqwest::Client,
    runtime: Arc<Runtime>,
    base: String,
    user: String,
    password: String,
    /// Counts the server's starts and ends.
    server_changes: Arc<AtomicUsize>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    /// The body, after a look at the status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }
}

impl Api {
    pub(crate) fn new(runtime: &Arc<Runtime>, address: &str, user: &str, password: &str) -> Self {
        let client = reqwest::Client::builder().timeout(LONGEST_ANSWER).build().expect("client");
        let base = format!("http://{address}");
        let (user, password) = (user.to_owned(), password.to_owned());
        Self { client, runtime: Arc::clone(runtime), base, user, password, server_changes: Arc::default() }
    }

    /// No answer is an error; any status is an answer. A server that lives all the while has to give one in time.
    pub(crate) fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if !path.contains("wait=") {
            request = request.timeout(SHORT_ANSWER);
        }
        request = request.basic_auth(&self.user, Some(&self.password));
        if let Some(body) = body {
            request = request.json(body);
        }
        let server = self.server_changes.load(Ordering::SeqCst);
        let answer = self.runtime.block_on(async {
            let response = request.send().await?;
            Ok(Answer { status: response.status().as_u16(), text: response.text().await? })
        });
        let timed_out = answer.as_ref().is_err_and(reqwest::Error::is_timeout);
        assert!(!timed_out || self.server_changes.load(Ordering::SeqCst) != server, "no answer in time: {path}");
        answer
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, None).expect("an answer")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path, Some(body)).expect("an answer")
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path, None).expect("an answer")
    }

    /// The handbook's pool, on [`HOST`]; as staff.
    pub(crate) fn create_pool(&self) -> Value {
        let body = json!({
            "network": "2a0a:e5c1:200::", "network_size": "40", "subnetwork_size": "48", "vpn_hostname": HOST,
        });
        self.post("/v1/admin/vpnpool/", &body).expect(201)
    }

    /// Lets every customer have as many networks as a test wants; as staff.
    pub(crate) fn lift_limits(&self) {
        for user in self.get("/v1/admin/user").expect(200)["items"].as_array().expect("users") {
            let path = format!("/v1/admin/user/{}", user["id"]);
            let edit = json!({ "vpn_quota": 1000 });
            self.request(Method::PATCH, &path, Some(&edit)).expect("an answer").expect(200);
        }
    }

    /// A network for a key.
    pub(crate) fn create_network(&self, public_key: &str) -> Value {
        let body = json!({ "network_size": "48", "wireguard_public_key": public_key });
        self.post("/v1/net/vpn/", &body).expect(201)
    }

    /// Waits until the job of a network or pool has succeeded.
    #[track_caller]
    pub(crate) fn job_succeeds(&self, resource: &Value) {
        let id = resource["job"]["id"].as_i64().unwrap_or_else(|| panic!("no job in {resource}"));
        let job = self.get(&format!("/v1/job/{id}?wait=30")).expect(200);
        assert_eq!(job["state"], "succeeded", "{job}");
    }

    /// Waits until a network is active, and returns it.
    pub(crate) fn becomes_active(&self, network: &Value) -> Value {
        let path = format!("/v1/net/vpn/{}", network["id"]);
        let mut last = Value::Null;
        wait_until("the network becomes active", || {
            last = self.get(&path).expect(200);
            last["status"] == "active"
        });
        last
    }
}

/// The public half of a key that nobody has.
pub(crate) fn new_key() -> String {
    let random = ring::rand::SystemRandom::new();
    uncloud_wire::key::PrivateKey::generate(&random).expect("random numbers").public_key().to_string()
}
