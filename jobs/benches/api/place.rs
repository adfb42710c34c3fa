//! The measured servers and their data: a pool, and a customer of the directory with networks.

use std::{net::SocketAddr, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sqlx::PgPool;
use uncloud::accounts;
use uncloud_testkit::{
    command::clear_env,
    fixtures::{PASSWORD, SECRET_KEY, new_key},
    process::Process,
    programs,
    servers::{PostgresServer, RedisServer, SERVICE_PASSWORD, Slapd, password_of},
};
use uncloud_wire::Secret;

use super::{
    PAGE,
    load::{Connection, Request},
};
use crate::cost;

pub(crate) struct Place {
    /// An empty database beside the provider's.
    pub(crate) pgbench_url: Secret<String>,
    pub(crate) address: SocketAddr,
    /// The customer's `Authorization` header.
    pub(crate) basic: String,
    server: Process,
    _postgres: PostgresServer,
    _redis: RedisServer,
    _slapd: Slapd,
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Returns the body of a request for one more network.
pub(crate) fn new_network() -> String {
    json!({ "network_size": 64, "wireguard_public_key": new_key().to_string() }).to_string()
}

impl Place {
    /// Starts the servers; `options` are those of `uncloud serve`.
    pub(crate) fn start(options: &[&str]) -> Self {
        let postgres = PostgresServer::start_durable(&[]);
        let (redis, slapd) = (RedisServer::start(), Slapd::start());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(fill(postgres.url("uncloud").expose()));
        let mut server = Process::start("uncloud serve", server(&postgres, &redis, &slapd).args(options));
        let address = server.wait_for_line("serving; try /api/ and /docs address=");
        let address = address.trim().parse().expect("an address");
        let basic = basic("carol", &password_of("carol"));
        let pgbench_url = runtime.block_on(postgres.create_database("pgbench", None));
        let url = postgres.url("uncloud");
        let place = Self { pgbench_url, address, basic, server, _postgres: postgres, _redis: redis, _slapd: slapd };
        place.furnish();
        runtime.block_on(raise_limits(url.expose()));
        for _ in 0..PAGE {
            place.made("/v1/net/vpn", &place.basic, &new_network());
        }
        runtime.block_on(settle(url.expose()));
        place
    }

    /// Creates an object and returns it.
    fn made(&self, path: &str, authorization: &str, body: &str) -> Value {
        let response = Connection::open(self.address).send(&Request::new("POST", path, authorization, Some(body)));
        assert_eq!(response.status, 201, "{}", response.body);
        serde_json::from_str(&response.body).expect("JSON")
    }

    /// Creates a pool with room for everything that is created; the first login creates the customer's row.
    fn furnish(&self) {
        let pool =
            json!({ "network": "2a0a:e5c1:200::/40", "subnetwork_size": 64, "vpn_hostname": "vpn-1.example.ch" });
        self.made("/v1/admin/vpnpool", &basic("admin", PASSWORD), &pool.to_string());
        self.token();
    }

    /// Creates a token of the customer.
    pub(crate) fn token(&self) -> String {
        let body = json!({ "name": "bench", "scopes": ["read", "write"] });
        self.made("/v1/token", &self.basic, &body.to_string())["secret"].as_str().expect("a secret").to_owned()
    }

    /// Resets the peak memory, so that it does not include the start, which is a figure of its own.
    pub(crate) fn forget_peak(&self) {
        cost::forget_peak(self.server.pid());
    }

    /// Returns the server's memory.
    pub(crate) fn rss_mb(&self) -> f64 {
        cost::memory_mb(self.server.pid())
    }

    /// Returns the server's peak memory since the last reset.
    pub(crate) fn most_rss_mb(&self) -> f64 {
        cost::peak_mb(self.server.pid())
    }
}

async fn fill(database_url: &str) {
    let pool = PgPool::connect(database_url).await.expect("database");
    uncloud::cli::defaults::add_defaults(&pool).await.expect("schema and defaults");
    let name = "admin".parse().expect("a name");
    accounts::bootstrap(
        &pool,
        &name,
        true,
        Some(&accounts::NewPassword::new(&PASSWORD.to_owned().into()).expect("long enough")),
    )
    .await
    .expect("a user");
}

/// Makes the networks active, as if their host had confirmed them: what is read is a network as it usually is.
async fn settle(database_url: &str) {
    let pool = PgPool::connect(database_url).await.expect("database");
    let confirm = "update job set state = 'succeeded', finished_at = now();
        update vpn_pool set applied_generation = generation";
    sqlx::raw_sql(confirm).execute(&pool).await.expect("settled");
}

async fn raise_limits(database_url: &str) {
    let pool = PgPool::connect(database_url).await.expect("database");
    sqlx::query("update users set vpn_quota = 1000000").execute(&pool).await.expect("raised");
}

fn server(postgres: &PostgresServer, redis: &RedisServer, slapd: &Slapd) -> Command {
    let mut command = Command::new(programs::uncloud());
    clear_env(&mut command).args(["serve", "--listen", "127.0.0.1:0"]);
    command.env("DATABASE_URL", postgres.url("uncloud").expose()).env("REDIS_URL", redis.url().expose());
    command.env("UNCLOUD_SECRET_KEY", SECRET_KEY);
    let directory = slapd.settings();
    command.env("UNCLOUD_LDAP_URL", directory.url).env("UNCLOUD_LDAP_BASE_DN", directory.base_dn);
    command.env("UNCLOUD_LDAP_FILTER", directory.filter);
    command.env("UNCLOUD_LDAP_BIND_DN", directory.bind_dn.expect("one"));
    command.env("UNCLOUD_LDAP_BIND_PASSWORD", SERVICE_PASSWORD);
    command
}
