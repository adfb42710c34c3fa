//! From a customer's request over HTTP to a ping through the tunnel: `uncloud serve` and `uncloud-worker` as processes.

use std::process::Command;

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use uncloud_testkit::{
    command::{clear_env, succeed},
    fixtures::HOST,
    process::Process,
    programs,
    provider::{ApiClient, Provider, host_options},
    wait::wait_until,
    world::{self, VPN_HOST, World, client, host_address},
};
use uncloud_wire::key::PrivateKey;

use crate::tunnel::SteadyPing;

const SERVER: &str = "2a0a:e5c1:200::1";

/// Somebody with a network and a machine, `client<n>`.
struct Customer<'w> {
    world: &'w World,
    n: usize,
    api: ApiClient,
    key: PrivateKey,
    network: Value,
    /// The configuration that the customer has downloaded.
    config: String,
}

impl<'w> Customer<'w> {
    /// Asks for a network with a key of their own, and waits until it is there.
    fn with_network(world: &'w World, provider: &Provider, n: usize, user: &str) -> Self {
        let key = PrivateKey::generate(&SystemRandom::new()).expect("random numbers");
        let api = provider.api(user);
        let network = api.create_network(&key.public_key().to_string());
        api.job_succeeds(&network);
        let network = api.get(&format!("/v1/net/vpn/{}", network["id"])).expect(200);
        assert_eq!(network["status"], "active", "{network}");
        let config = api.get(&format!("/v1/net/vpn/{}/config", network["id"]));
        assert_eq!(config.status, 200, "{}", config.text);
        Self { world, n, api, key, network, config: config.text }
    }

    fn path(&self) -> String {
        format!("/v1/net/vpn/{}", self.network["id"])
    }

    /// A line of the configuration.
    fn setting(&self, name: &str) -> String {
        let value = self.config.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        value.unwrap_or_else(|| panic!("no {name} in {}", self.config)).to_owned()
    }

    /// The address on the customer's end of the tunnel.
    fn address(&self) -> String {
        self.setting("Address").split('/').next().expect("an address").to_owned()
    }

    /// Does what `wg-quick up` does with the configuration. There is no DNS, so the host's name is replaced.
    fn start_tunnel(&self) {
        let (namespace, interface) = (client(self.n), format!("wg-c{}", self.n));
        self.world.sh_in(&namespace, &format!("wireguard-go {interface} >/dev/null 2>&1"));
        self.configure();
        let (address, routed) = (self.setting("Address"), self.setting("AllowedIPs"));
        let script = format!(
            "ip link set {interface} mtu 1420 up; ip addr add {address} dev {interface} nodad
             ip -6 route add {routed} dev {interface}"
        );
        self.world.sh_in(&namespace, &script);
        self.wait_for_answer();
    }

    fn wait_for_answer(&self) {
        let namespace = client(self.n);
        wait_until(&format!("{namespace} reaches the server"), || self.world.ping(&namespace, SERVER, 1) == 1);
    }

    /// Gives the configuration to WireGuard; again, it opens a new session with the next packet.
    fn configure(&self) {
        let key = format!("PrivateKey = {}", self.key.expose_base64());
        assert_eq!(self.setting("Endpoint"), format!("{HOST}:51820"));
        let config = self.config.replace("PrivateKey = ", &key).replace(HOST, &format!("[{}]", host_address(self.n)));
        let for_wg: Vec<&str> = config.lines().filter(|line| !line.starts_with("Address")).collect();
        let script = format!("wg setconf wg-c{} /dev/stdin", self.n);
        self.world.sh_in_with(&client(self.n), &script, &for_wg.join("\n"));
    }

    /// Returns the time of the host's latest handshake with this customer.
    fn handshake(&self) -> String {
        let key = self.key.public_key().to_string();
        let shown = self.world.sh_in(VPN_HOST, "wg show wg-1 latest-handshakes");
        shown.lines().find(|line| line.starts_with(&key)).unwrap_or_else(|| panic!("{key}: {shown}")).to_owned()
    }
}

/// The pool on a host whose worker runs.
fn pool(world: &World, provider: &Provider, state_dir: &tempfile::TempDir) -> Process {
    let worker = provider.worker(world, state_dir.path());
    let staff = provider.api("admin");
    staff.job_succeeds(&staff.create_pool());
    worker
}

#[test]
fn network_deletion_with_two_connected_customers_disconnects_only_one() {
    world::run(2, |world| {
        let provider = Provider::start(&["nico", "sami"]);
        let state_dir = tempfile::tempdir().expect("state folder");
        let _worker = pool(world, &provider, &state_dir);
        let one = Customer::with_network(world, &provider, 1, "nico");
        let two = Customer::with_network(world, &provider, 2, "sami");
        for customer in [&one, &two] {
            customer.start_tunnel();
            assert_eq!(world.ping(&client(customer.n), SERVER, 3), 3, "customer {} to host", customer.n);
            assert_eq!(world.ping(VPN_HOST, &customer.address(), 3), 3, "host to customer {}", customer.n);
        }
        assert_eq!(world.ping(&client(1), &two.address(), 3), 3, "customer to customer");
        assert_eq!(world.ping(&client(2), &one.address(), 3), 3, "and back");

        let before = two.handshake();
        let mut ping = SteadyPing::start(world, &client(2), SERVER);
        ping.read(50);
        one.api.job_succeeds(&one.api.delete(&one.path()).expect(202));
        ping.read(100);
        assert_eq!(world.ping(&client(1), SERVER, 5), 0, "customer 1 is out");
        assert_eq!(one.api.get(&one.path()).status, 404);
        // wireguard-go opens its port anew at each syncconf, see apply.rs; replacing peers would lose seconds.
        let lost = ping.lost();
        assert!(lost.len() <= 5, "{lost:?}");
        assert_eq!(two.handshake(), before, "customer 2 needed no new handshake");
    });
}

#[test]
fn restore_after_reboot_without_control_plane_reconnects_customers() {
    world::run(2, |world| {
        let provider = Provider::start(&["nico", "sami"]);
        let state_dir = tempfile::tempdir().expect("state folder");
        let worker = pool(world, &provider, &state_dir);
        let customers = [(1, "nico"), (2, "sami")].map(|(n, user)| Customer::with_network(world, &provider, n, user));
        for customer in &customers {
            customer.start_tunnel();
        }
        worker.kill();
        drop(provider); // server, Redis and PostgreSQL end with it
        world.sh_in(VPN_HOST, "ip link del wg-1; ip -6 route del unreachable 2a0a:e5c1:200::/40 metric 4278198272");
        assert_eq!(world.ping(&client(1), SERVER, 2), 0, "the host is down");
        let mut restore = world.command(VPN_HOST, programs::uncloud_worker());
        succeed(clear_env(restore.arg("restore").args(host_options(state_dir.path()))), "");
        for customer in &customers {
            customer.configure(); // spares the 15 seconds until WireGuard gives up its session by itself
            customer.wait_for_answer();
            assert_eq!(world.ping(VPN_HOST, &customer.address(), 3), 3, "and the way back");
        }
    });
}

#[test]
fn reconcile_after_manual_changes_repairs_host_and_reports_drift() {
    world::run(1, |world| {
        let provider = Provider::start(&["nico"]);
        let state_dir = tempfile::tempdir().expect("state folder");
        let _worker = pool(world, &provider, &state_dir);
        let customer = Customer::with_network(world, &provider, 1, "nico");
        let reconcile = |format: &str| -> String {
            let mut command: Command = provider.uncloud();
            succeed(command.args(["vpn", "--hostname", HOST, "--output", format]), "")
        };
        let rows =
            |text: &str| serde_json::from_str::<Vec<Value>>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let healthy = rows(&reconcile("json"));
        assert_eq!(healthy.len(), 1, "one pool: {healthy:?}");
        let result = &healthy[0]["result"];
        assert_eq!((&result["peers"], &result["drift"]), (&json!(1), &json!([])), "{healthy:?}");

        world.sh_in(VPN_HOST, "ip link del wg-1");
        let mended = rows(&reconcile("json"));
        assert_eq!(mended[0]["state"], "succeeded");
        assert_eq!(mended[0]["result"]["drift"], json!(["interface is missing"]));
        let peers = world.sh_in(VPN_HOST, "wg show wg-1 allowed-ips");
        assert_eq!(
            peers.trim(),
            format!("{}\t{}", customer.key.public_key(), customer.network["network"].as_str().expect("text"))
        );

        world.sh_in(VPN_HOST, "ip link set wg-1 mtu 1300");
        let table = reconcile("table");
        assert!(table.contains("MTU is 1300 instead of 1420"), "{table}");
    });
}
