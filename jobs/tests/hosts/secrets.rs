//! After a run in which everything was used and many things failed, no secret is anywhere but where it belongs.
//!
//! The places for them: the pools' private keys in the host's state file (mode 0600; what `restore` needs) and, sealed, in the
//! database; passwords as Argon2 hashes; what an operator put into the environment of `uncloud serve` in that
//! environment, and in no other process. The worker is told by files, so its environment has nothing.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uncloud_testkit::{
    command::{clear_env, output, succeed},
    fixtures::{HOST, new_key},
    process::Process,
    programs,
    provider::{ApiClient, client_runtime, host_options},
    servers::{PostgresServer, RedisServer},
    wait::wait_until,
    world::{self, VPN_HOST, World},
};

use crate::leaks::{Secret, found, watch_processes};

const BROKER_PASSWORD: &str = "broker-Zahnrad-7731";
const STAFF_PASSWORD: &str = "staff-Velo-4410";
const CUSTOMER_PASSWORD: &str = "customer-Berg-9983";
const WRONG_PASSWORD: &str = "mistyped-Wolke-1207";

/// Databases, server and worker, with secrets that this test knows.
struct Site<'w> {
    world: &'w World,
    postgres: PostgresServer,
    redis: RedisServer,
    runtime: Arc<Runtime>,
    secret_key: String,
    server: Process,
    worker: Process,
    address: String,
    folder: TempDir,
    /// Every response that came.
    responses: Vec<String>,
}

fn wg_key() -> String {
    succeed(Command::new("wg").arg("genkey"), "").trim().to_owned()
}

impl<'w> Site<'w> {
    fn start(world: &'w World) -> Self {
        let (postgres, redis) = (PostgresServer::start(), RedisServer::start());
        let mut connection = redis.connect();
        redis::cmd("CONFIG").arg(&["SET", "requirepass", BROKER_PASSWORD]).exec(&mut connection).expect("set");
        let broker = format!("{}?pass={BROKER_PASSWORD}", redis.url().expose());
        let folder = tempfile::tempdir().expect("folder");
        fs::write(folder.path().join("broker"), &broker).expect("written");
        let database = postgres.url("uncloud").expose().clone();
        let uncloud = |args: &[&str], input: &str| {
            let mut command = Command::new(programs::uncloud());
            succeed(clear_env(command.args(args)).env("DATABASE_URL", &database).env("RUST_LOG", "trace"), input)
        };
        let mut said = vec![uncloud(&["db-add-defaults"], "")];
        said.push(uncloud(&["bootstrap-user", "--username", "admin", "--staff"], STAFF_PASSWORD));
        said.push(uncloud(&["bootstrap-user", "--username", "nico"], CUSTOMER_PASSWORD));
        let secret_key = wg_key(); // 32 random bytes in base64
        let mut command = Command::new(programs::uncloud());
        clear_env(command.args(["serve", "--listen", "127.0.0.1:0"]))
            .env("RUST_LOG", "trace")
            .env("DATABASE_URL", &database);
        command.env("REDIS_URL", &broker).env("UNCLOUD_SECRET_KEY", &secret_key);
        let mut server = Process::start("uncloud serve", &mut command);
        let address = server.wait_for_line("serving; try /api/ and /docs address=").trim().to_owned();
        let mut command = world.command(VPN_HOST, programs::uncloud_worker());
        fs::create_dir(folder.path().join("state")).expect("folder");
        command.args(["--queue", HOST, "--broker-file"]).arg(folder.path().join("broker"));
        command.args(host_options(&folder.path().join("state")));
        let worker = Process::start("uncloud-worker", clear_env(&mut command).env("RUST_LOG", "trace"));
        let runtime = client_runtime();
        Self { world, postgres, redis, runtime, secret_key, server, worker, address, folder, responses: said }
    }

    fn ask(&mut self, user: &str, password: &str, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let api = ApiClient::new(&self.runtime, &self.address, user, password);
        let response = api.request(method, path, body).expect("a response");
        self.responses.push(response.text.clone());
        (response.status, serde_json::from_str(&response.text).unwrap_or_default())
    }

    fn staff(&mut self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.ask("admin", STAFF_PASSWORD, method, path, body)
    }

    fn customer(&mut self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.ask("nico", CUSTOMER_PASSWORD, method, path, body)
    }

    /// A token of the customer's: its response is kept, encrypted, for whoever sends the same key again. The one response with the
    /// secret is not among those that are searched.
    fn token(&self) -> String {
        let request = reqwest::Client::new()
            .post(format!("http://{}/v1/token", self.address))
            .basic_auth("nico", Some(CUSTOMER_PASSWORD))
            .header("Idempotency-Key", "of-the-secrets-test")
            .json(&json!({ "name": "backup", "scopes": ["read"] }));
        let token: Value =
            self.runtime.block_on(async { request.send().await.expect("a response").json().await.expect("JSON") });
        token["secret"].as_str().unwrap_or_else(|| panic!("{token}")).to_owned()
    }

    /// With a token, right, damaged, and where it is not good enough.
    fn use_token(&mut self, token: &str) {
        let get = |path: &str, token: &str| {
            reqwest::Client::new().get(format!("http://{}{path}", self.address)).bearer_auth(token)
        };
        let requests = [
            (200, get("/v1/net/vpn", token)),
            (200, get("/v1/token", token)),
            (401, get("/v1/net/vpn", &format!("{token}x"))),
            (403, get("/v1/admin/user", token)),
        ];
        for (status, request) in requests {
            let (said, text) = self.runtime.block_on(async {
                let response = request.send().await.expect("a response");
                (response.status().as_u16(), response.text().await.expect("text"))
            });
            assert_eq!(said, status, "{text}");
            self.responses.push(text);
        }
    }

    /// A working pool and network, and a change of both.
    fn use_everything(&mut self, private_key: &str, next_private_key: &str) {
        let pool = pool("2a0a:e5c1:200::", private_key);
        let (status, pool) = self.staff(Method::POST, "/v1/admin/vpnpool", Some(&pool));
        assert_eq!(status, 201, "{pool}");
        let network = json!({ "network_size": 48, "wireguard_public_key": new_key() });
        let (status, network) = self.customer(Method::POST, "/v1/net/vpn", Some(&network));
        assert_eq!(status, 201, "{network}");
        let path = format!("/v1/net/vpn/{}", network["id"]);
        wait_until("the network is active", || self.customer(Method::GET, &path, None).1["status"] == "active");
        for path in [format!("{path}/config"), format!("{path}/status"), "/v1/net/vpn".into(), "/api/".into()] {
            self.customer(Method::GET, &path, None);
        }
        let edit = json!({ "wireguard_private_key": next_private_key });
        let (status, pool) = self.staff(Method::PATCH, "/v1/admin/vpnpool/1", Some(&edit));
        assert!(status < 500, "{pool}");
        for job in 1..6 {
            self.staff(Method::GET, &format!("/v1/job/{job}?wait=10"), None);
        }
    }

    /// Requests that are refused, each with a secret in it, and jobs that fail.
    fn fail_everything(&mut self, private_key: &str) {
        self.ask("nico", WRONG_PASSWORD, Method::GET, "/v1/net/vpn", None);
        self.ask(WRONG_PASSWORD, "x", Method::GET, "/v1/net/vpn", None);
        let damaged = [format!("{private_key}="), format!(" {private_key}"), format!("{private_key}\n[Peer]")];
        for key in damaged {
            let (status, said) = self.staff(Method::POST, "/v1/admin/vpnpool", Some(&pool("2a0a:e5c1:300::", &key)));
            assert!((400..500).contains(&status), "{said}");
        }
        let taken = pool("2a0a:e5c1:200::", private_key);
        assert_eq!(self.staff(Method::POST, "/v1/admin/vpnpool", Some(&taken)).0, 409);
        let strange =
            [json!({ "wireguard_private_key": [private_key] }), json!([private_key]), json!({ private_key: 1 })];
        for body in strange {
            let (status, said) = self.staff(Method::POST, "/v1/admin/vpnpool", Some(&body));
            assert!((400..500).contains(&status), "{said}");
        }
        self.customer(Method::POST, "/v1/admin/vpnpool", Some(&taken));
        // An interface of that name which is none of WireGuard's: `wg` fails, and says so.
        self.world.sh_in(
            VPN_HOST,
            "ip link del wg-1; ip link add wg-1 type dummy 2>/dev/null || ip tuntap add wg-1 mode tun",
        );
        let network = json!({ "network_size": 48, "wireguard_public_key": new_key() });
        let (_, network) = self.customer(Method::POST, "/v1/net/vpn", Some(&network));
        let job = format!("/v1/job/{}", network["job"]["id"]);
        wait_until("the job has failed once", || self.staff(Method::GET, &job, None).1["error"].is_string());
        self.world.sh_in(VPN_HOST, "ip link del wg-1");
        wait_until("the job has succeeded", || self.staff(Method::GET, &job, None).1["state"] == "succeeded");
    }

    /// The content of Redis when all jobs are done, and in each row of the database.
    fn stores(&self) -> Vec<(String, Vec<u8>)> {
        let broker = fs::read_to_string(self.folder.path().join("broker")).expect("written");
        let mut redis = redis::Client::open(broker).and_then(|client| client.get_connection()).expect("Redis");
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut redis).expect("keys");
        let dump = |key: String| {
            let bytes: Vec<u8> = redis::cmd("DUMP").arg(&key).query(&mut redis).expect("a value");
            (format!("Redis, {key}"), bytes)
        };
        let mut stores: Vec<(String, Vec<u8>)> = keys.into_iter().map(dump).collect();
        let rows: Vec<(String, String)> = self.runtime.block_on(async {
            let mut db = PgConnection::connect(self.postgres.url("uncloud").expose()).await.expect("PostgreSQL");
            let query = "select relname::text, query_to_xml('select * from ' || oid::regclass, true, false, '')::text
                from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace";
            sqlx::query_as(query).fetch_all(&mut db).await.expect("rows")
        });
        assert!(
            rows.iter().any(|(table, text)| table == "job" && text.contains("vpn_apply")),
            "the jobs are among them"
        );
        stores.extend(rows.into_iter().map(|(table, text)| (format!("table {table}"), text.into_bytes())));
        stores
    }
}

fn pool(network: &str, private_key: &str) -> Value {
    json!({
        "network": network, "network_size": 40, "subnetwork_size": 48, "vpn_hostname": HOST,
        "wireguard_private_key": private_key,
    })
}

fn only_its_owner_reads(path: &Path) -> bool {
    fs::metadata(path).expect("a file").permissions().mode() & 0o7777 == 0o600
}

#[test]
fn secrets_after_use_and_failures_do_not_leak() {
    world::run(0, |world| {
        let mut site = Site::start(world);
        let (private_key, next_private_key) = (wg_key(), wg_key());
        let passwords = [
            ("broker's password", BROKER_PASSWORD),
            ("staff's password", STAFF_PASSWORD),
            ("customer's password", CUSTOMER_PASSWORD),
            ("mistyped password", WRONG_PASSWORD),
        ];
        let mut secrets: Vec<Secret> =
            passwords.into_iter().map(|(name, password)| Secret::new(name, password.as_bytes())).collect();
        secrets.push(Secret::new("staff's credentials", format!("admin:{STAFF_PASSWORD}").as_bytes()));
        secrets.push(Secret::of_key("secret key", &site.secret_key));
        secrets.push(Secret::of_key("pool's private key", &private_key));
        secrets.push(Secret::of_key("pool's next private key", &next_private_key));
        let token = site.token();
        secrets.push(Secret::new("customer's token", token.as_bytes()));

        let (stop, server) = (AtomicBool::new(false), site.server.pid().as_raw());
        let mut leaks = thread::scope(|scope| {
            let watch = scope.spawn(|| watch_processes(&secrets, &stop, server));
            site.use_everything(&private_key, &next_private_key);
            site.fail_everything(&private_key);
            site.use_token(&token);
            stop.store(true, Ordering::SeqCst);
            watch.join().expect("no panic")
        });
        site.worker.terminate();
        for (name, process) in [("serve", &site.server), ("worker", &site.worker)] {
            leaks.extend(found(&secrets, &format!("stdout of {name}"), process.stdout().as_bytes()));
            leaks.extend(found(&secrets, &format!("stderr of {name}"), process.stderr().as_bytes()));
        }
        assert!(site.worker.stderr().contains("applied"), "the log was written");
        for response in &site.responses {
            leaks.extend(found(&secrets, &format!("the response {response}"), response.as_bytes()));
        }
        for (place, bytes) in site.stores() {
            leaks.extend(found(&secrets, &place, &bytes));
        }
        assert_eq!(leaks, BTreeSet::new());
        let saved = site.folder.path().join("state/wg-1.json");
        assert!(only_its_owner_reads(&saved), "the one place of the key on the host");
        let there = found(&secrets, "the state file", &fs::read(&saved).expect("readable"));
        assert!(!there.is_empty(), "restore needs the key, and the scan finds what is there");
        let refused = output(
            clear_env(Command::new(programs::uncloud_worker()).args(["--queue", HOST, "--broker", BROKER_PASSWORD])),
            "",
        );
        assert_eq!(found(&secrets, "an error of the command line", &refused.stderr), Vec::<String>::new());
        drop(site.redis);
    });
}
