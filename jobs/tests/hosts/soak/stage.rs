//! Two servers, two VPN hosts, PostgreSQL and Redis, and how each of them is hurt.

use std::{collections::BTreeMap, process::Command, sync::Arc, thread, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uncloud::embedded::throwaway::{ThrowawayPostgres, ThrowawayRedis};

use super::plan::Fault;
use crate::{
    instance::new_key,
    process::{Process, bare, succeed, uncloud_program, worker_program},
    provider::{Api, PASSWORD, host_options},
    world::{World, wait_until},
};

pub(super) const USERS: [&str; 4] = ["nico", "sami", "bala", "jason"];
pub(super) const SERVERS: usize = 2;
const SECRET_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// A machine with a pool: host name, network namespace, pool, size of its networks.
pub(super) const HOSTS: [(&str, &str, &str, u8); 2] = [
    ("vpn-1.example.ch", "vpnhost", "2a0a:e5c1:200::/40", 48),
    ("vpn-2.example.ch", "client1", "2a0a:e5c1:300::/40", 50),
];

/// Everything that runs.
pub(super) struct Stage<'w> {
    pub(super) world: &'w World,
    servers: Vec<Option<Process>>,
    pub(super) addresses: Vec<String>,
    workers: Vec<Option<Process>>,
    state_dirs: Vec<TempDir>,
    pub(super) runtime: Arc<Runtime>,
    /// Newest generation seen in each host's state file.
    pub(super) generations: [i64; HOSTS.len()],
    redis: ThrowawayRedis,
    postgres: ThrowawayPostgres,
}

impl<'w> Stage<'w> {
    pub(super) fn start(world: &'w World) -> Self {
        let mut stage = Self {
            world,
            servers: Vec::new(),
            addresses: vec!["127.0.0.1:0".into(); SERVERS],
            workers: Vec::new(),
            state_dirs: HOSTS.iter().map(|_| tempfile::tempdir().expect("state folder")).collect(),
            runtime: Arc::new(Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime")),
            generations: [0; HOSTS.len()],
            redis: ThrowawayRedis::start().expect("Redis"),
            postgres: ThrowawayPostgres::start().expect("PostgreSQL"),
        };
        // A throwaway server may forget the last commits in a crash; here it crashes, and must not.
        stage.execute("alter database uncloud set synchronous_commit = on");
        succeed(stage.uncloud().arg("db-add-defaults"), "");
        for user in USERS {
            succeed(stage.uncloud().args(["bootstrap-user", "--username", user]), PASSWORD);
        }
        succeed(stage.uncloud().args(["bootstrap-user", "--username", "admin", "--staff"]), PASSWORD);
        stage.execute("update users set vpn_quota = 1000");
        stage.servers = (0..SERVERS).map(|_| None).collect();
        (0..SERVERS).for_each(|n| stage.start_server(n));
        stage.workers = (0..HOSTS.len()).map(|host| Some(stage.worker(host))).collect();
        let staff = stage.api(0, "admin");
        for (hostname, _, network, size) in HOSTS {
            let body = json!({ "network": network, "subnetwork_size": size, "vpn_hostname": hostname });
            staff.job_succeeds(&staff.post("/v1/admin/vpnpool", &body).expect(201));
        }
        stage
    }

    pub(super) fn uncloud(&self) -> Command {
        let mut command = Command::new(uncloud_program());
        bare(&mut command).env("DATABASE_URL", self.postgres.url("uncloud").expose());
        command
    }

    fn start_server(&mut self, n: usize) {
        let mut command = self.uncloud();
        command.args(["serve", "--rate-limit", "0", "--listen", &self.addresses[n]]);
        command.env("REDIS_URL", self.redis.url().expose()).env("UNCLOUD_SECRET_KEY", SECRET_KEY);
        let mut server = Process::start("uncloud serve", &mut command);
        let address = server.wait_for_line("serving; try /api/ and /docs address=");
        address.trim().clone_into(&mut self.addresses[n]);
        self.servers[n] = Some(server);
    }

    fn worker(&self, host: usize) -> Process {
        let (hostname, namespace, ..) = HOSTS[host];
        let mut command = self.world.command(namespace, worker_program());
        command.args(["--queue", hostname]).args(host_options(self.state_dirs[host].path()));
        bare(&mut command).env("REDIS_URL", self.redis.url().expose());
        Process::start("uncloud-worker", &mut command)
    }

    pub(super) fn api(&self, server: usize, user: &str) -> Api {
        Api::new(&self.runtime, &self.addresses[server], user, PASSWORD)
    }

    /// A session of its own, as others are cut.
    pub(super) fn connect(&self) -> PgConnection {
        let url = self.postgres.url("uncloud");
        let mut connection = None;
        wait_until("PostgreSQL is back", || {
            connection = self.runtime.block_on(PgConnection::connect(url.expose())).ok();
            connection.is_some()
        });
        connection.expect("waited for")
    }

    fn execute(&self, sql: &'static str) {
        let mut connection = self.connect();
        // One that ends its own session gets no answer.
        let _ = self.runtime.block_on(sqlx::query(sql).execute(&mut connection));
    }

    /// Rows of a query.
    pub(super) fn rows<T>(&self, sql: &'static str) -> Vec<T>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let mut connection = self.connect();
        self.runtime.block_on(sqlx::query_as(sql).fetch_all(&mut connection)).expect("rows")
    }

    /// Jobs by state.
    pub(super) fn jobs(&self) -> BTreeMap<String, i64> {
        self.rows::<(String, i64)>("select state, count(*) from job group by state").into_iter().collect()
    }

    /// The text of a host's state file; none while there is none.
    pub(super) fn state_file(&self, host: usize) -> Option<String> {
        std::fs::read_to_string(self.state_dirs[host].path().join(format!("wg-{}.json", host + 1))).ok()
    }

    /// A script on a host; by hand, so it may fail.
    fn by_hand(&self, host: usize, script: &str) {
        self.world.sh_in(HOSTS[host].1, &format!("{script} 2>/dev/null || true"));
    }

    pub(super) fn inflict(&mut self, fault: Fault) {
        match fault {
            Fault::KillWorker(host) => {
                kill_quietly(self.workers[host].take());
                self.workers[host] = Some(self.worker(host));
            }
            Fault::KillServer(n) => {
                kill_quietly(self.servers[n].take());
                self.start_server(n);
            }
            Fault::EmptyRedis => {
                let redis = redis::Client::open(self.redis.url().expose().as_str()).expect("a URL");
                let mut connection = redis.get_connection().expect("Redis");
                redis::cmd("FLUSHALL").exec(&mut connection).expect("emptied");
            }
            Fault::StopRedis(pause) => {
                self.redis.stop();
                thread::sleep(pause);
                self.redis.resume().expect("Redis");
            }
            Fault::CrashPostgres => self.crash_postgres(),
            Fault::CutPostgres => {
                self.execute("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()");
            }
            Fault::DeleteInterface(host) => self.by_hand(host, &format!("ip link del wg-{}", host + 1)),
            Fault::AddPeer(host) => {
                let (prefix, key) = (["2a0a:e5c1:2ff::/48", "2a0a:e5c1:3ff::/50"][host], new_key());
                self.by_hand(host, &format!("wg set wg-{} peer {key} allowed-ips {prefix}", host + 1));
            }
            Fault::RemoveAddress(host) => self.by_hand(host, &format!("ip -6 addr flush dev wg-{}", host + 1)),
            Fault::FreezeWorker(host) => self.freeze_worker(host),
            Fault::SecondWorker(host) => {
                let mut second = self.worker(host);
                thread::sleep(Duration::from_millis(600));
                second.terminate();
            }
        }
    }

    fn crash_postgres(&self) {
        let mut connection = self.connect();
        let own = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut connection);
        let pid: i32 = self.runtime.block_on(own).expect("a process");
        // A session that is opened before the server has noticed is cut like this one.
        let mut witness = self.connect();
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
        wait_until("PostgreSQL has noticed", || {
            self.runtime.block_on(sqlx::query("select").execute(&mut witness)).is_err()
        });
        drop(self.connect()); // so that it is over when this returns
    }

    fn freeze_worker(&mut self, host: usize) {
        let frozen = self.workers[host].take().expect("it runs");
        frozen.signal(Signal::SIGSTOP);
        let second = self.worker(host);
        thread::sleep(Duration::from_secs(7)); // a lease is 6 s
        frozen.signal(Signal::SIGCONT);
        thread::sleep(Duration::from_millis(300));
        kill_quietly(Some(frozen));
        self.workers[host] = Some(second);
    }
}

/// `kill -9`, without showing what it wrote: that would be all that there is to see.
fn kill_quietly(process: Option<Process>) {
    process.expect("it runs").signal(Signal::SIGKILL);
}
