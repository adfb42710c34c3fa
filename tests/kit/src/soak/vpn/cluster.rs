//! Two servers, two VPN hosts, PostgreSQL and Redis, and how each of them is hurt.

use std::{collections::BTreeMap, process::Command, sync::Arc, thread, time::Duration};

use nix::sys::signal::Signal;
use serde_json::json;
use sqlx::{FromRow, postgres::PgRow};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::plan::{Fault, HOSTS, SERVERS};
use crate::{
    command::clear_env,
    fixtures::{PASSWORD, new_key},
    process::Process,
    programs,
    provider::{ApiClient, client_runtime, host_options, set_up_database, start_server},
    servers::{PostgresServer, RedisServer},
    world::World,
};

pub(super) const USERS: [&str; 4] = ["nico", "sami", "bala", "jason"];

/// Everything that runs.
pub(super) struct Cluster<'w> {
    pub(super) world: &'w World,
    servers: Vec<Option<Process>>,
    pub(super) addresses: Vec<String>,
    workers: Vec<Option<Process>>,
    state_dirs: Vec<TempDir>,
    pub(super) runtime: Arc<Runtime>,
    /// The newest generation seen in each host's state file.
    pub(super) generations: [i64; HOSTS.len()],
    redis: RedisServer,
    postgres: PostgresServer,
}

impl<'w> Cluster<'w> {
    pub(super) fn start(world: &'w World) -> Self {
        let mut cluster = Self {
            world,
            servers: Vec::new(),
            addresses: vec!["127.0.0.1:0".into(); SERVERS],
            workers: Vec::new(),
            state_dirs: HOSTS.iter().map(|_| tempfile::tempdir().expect("state folder")).collect(),
            runtime: client_runtime(),
            generations: [0; HOSTS.len()],
            redis: RedisServer::start(),
            postgres: PostgresServer::start_crash_safe(),
        };
        set_up_database(|| cluster.uncloud(), &USERS);
        cluster.execute("update users set vpn_quota = 1000");
        cluster.servers = (0..SERVERS).map(|_| None).collect();
        (0..SERVERS).for_each(|n| cluster.start_server(n));
        cluster.workers = (0..HOSTS.len()).map(|host| Some(cluster.worker(host))).collect();
        let staff = cluster.api(0, "admin");
        for (hostname, _, network, size) in HOSTS {
            let body = json!({ "network": network, "subnetwork_size": size, "vpn_hostname": hostname });
            staff.job_succeeds(&staff.post("/v1/admin/vpnpool", &body).expect(201));
        }
        cluster
    }

    pub(super) fn uncloud(&self) -> Command {
        let mut command = Command::new(programs::uncloud());
        clear_env(&mut command).env("DATABASE_URL", self.postgres.url("uncloud").expose());
        command
    }

    fn start_server(&mut self, n: usize) {
        self.servers[n] = Some(start_server(&mut self.uncloud(), &self.redis, &mut self.addresses[n]));
    }

    fn worker(&self, host: usize) -> Process {
        let (hostname, namespace, ..) = HOSTS[host];
        let mut command = self.world.command(namespace, programs::uncloud_worker());
        command.args(["--queue", hostname]).args(host_options(self.state_dirs[host].path()));
        clear_env(&mut command).env("REDIS_URL", self.redis.url().expose());
        Process::start("uncloud-worker", &mut command)
    }

    pub(super) fn api(&self, server: usize, user: &str) -> ApiClient {
        ApiClient::new(&self.runtime, &self.addresses[server], user, PASSWORD)
    }

    fn execute(&self, sql: &'static str) {
        let mut connection = self.runtime.block_on(self.postgres.session("uncloud"));
        // A session that ends itself gets no response.
        let _ = self.runtime.block_on(sqlx::query(sql).execute(&mut connection));
    }

    /// Returns the rows of a query, in a session of its own, as others are cut.
    pub(super) fn rows<T>(&self, sql: &'static str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut connection = self.runtime.block_on(self.postgres.session("uncloud"));
        self.runtime.block_on(sqlx::query_as(sql).fetch_all(&mut connection)).expect("rows")
    }

    /// Counts jobs by state.
    pub(super) fn jobs(&self) -> BTreeMap<String, i64> {
        self.rows::<(String, i64)>("select state, count(*) from job group by state").into_iter().collect()
    }

    /// Reads a host's state file; none while there is none.
    pub(super) fn state_file(&self, host: usize) -> Option<String> {
        std::fs::read_to_string(self.state_dirs[host].path().join(format!("wg-{}.json", host + 1))).ok()
    }

    /// Runs a script on a host, as staff do it manually; it may fail.
    fn run_manually(&self, host: usize, script: &str) {
        self.world.sh_in(HOSTS[host].1, &format!("{script} 2>/dev/null || true"));
    }

    pub(super) fn inflict(&mut self, fault: Fault) {
        match fault {
            Fault::KillWorker(host) => {
                self.workers[host].take().expect("it runs").kill_quietly();
                self.workers[host] = Some(self.worker(host));
            }
            Fault::KillServer(n) => {
                self.servers[n].take().expect("it runs").kill_quietly();
                self.start_server(n);
            }
            Fault::EmptyRedis => {
                self.redis.flush();
            }
            Fault::StopRedis(pause) => {
                self.redis.stop();
                thread::sleep(pause);
                self.redis.resume();
            }
            Fault::CrashPostgres => self.runtime.block_on(self.postgres.crash()),
            Fault::CutPostgres => {
                self.execute("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()");
            }
            Fault::DeleteInterface(host) => self.run_manually(host, &format!("ip link del wg-{}", host + 1)),
            Fault::AddPeer(host) => {
                let (prefix, key) = (["2a0a:e5c1:2ff::/48", "2a0a:e5c1:3ff::/50"][host], new_key());
                self.run_manually(host, &format!("wg set wg-{} peer {key} allowed-ips {prefix}", host + 1));
            }
            Fault::RemoveAddress(host) => self.run_manually(host, &format!("ip -6 addr flush dev wg-{}", host + 1)),
            Fault::FreezeWorker(host) => self.freeze_worker(host),
            Fault::SecondWorker(host) => {
                let mut second = self.worker(host);
                thread::sleep(Duration::from_millis(600));
                second.terminate();
            }
        }
    }

    fn freeze_worker(&mut self, host: usize) {
        let frozen = self.workers[host].take().expect("it runs");
        frozen.signal(Signal::SIGSTOP);
        let second = self.worker(host);
        thread::sleep(Duration::from_secs(7)); // a lease is 6 s
        frozen.signal(Signal::SIGCONT);
        thread::sleep(Duration::from_millis(300));
        frozen.kill_quietly();
        self.workers[host] = Some(second);
    }
}
