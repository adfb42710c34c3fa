//! A VPN host with a pool, as the worker sees it, and shorthands for what the tests ask of it.

use std::{fs, path::PathBuf};

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uncloud_jobs::host::{Host, HostError, Implementation};
use uncloud_testkit::{
    wait::wait_until,
    world::{VPN_HOST, World},
};
use uncloud_wire::{
    desired::{ApplyReport, DesiredInterface, InterfaceConfig, InterfaceState, MTU, Peer, VERSION},
    key::PrivateKey,
};

use crate::tunnel::Tunnel;

pub(crate) const PORT: u16 = 51820;
pub(crate) const SERVER: &str = "2a0a:e5c1:200::1";
pub(crate) const UNREACHABLE: &str = "unreachable 2a0a:e5c1:200::/40 dev lo metric 4278198272";

/// The worker's side of a world: this thread is on the VPN host.
pub(crate) struct Site<'w> {
    pub(crate) world: &'w World,
    /// The state folder.
    pub(crate) dir: TempDir,
    pub(crate) host: Host,
    pub(crate) runtime: Runtime,
    /// The server's.
    pub(crate) key: PrivateKey,
}

impl<'w> Site<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        world.enter(VPN_HOST);
        let dir = tempfile::tempdir().expect("state folder");
        let host = Host::new(dir.path(), Implementation::WireguardGo).expect("programs are installed");
        let runtime = Builder::new_current_thread().enable_all().build().expect("runtime");
        let key = PrivateKey::generate(&ring::rand::SystemRandom::new()).expect("random numbers");
        Self { world, dir, host, runtime, key }
    }

    pub(crate) fn config(&self, customers: &[&Tunnel]) -> InterfaceConfig {
        let net = |text: &str| text.parse().expect("prefix");
        let peer =
            |tunnel: &&Tunnel| Peer { public_key: tunnel.public_key(), allowed_ips: vec![net(&tunnel.prefix())] };
        InterfaceConfig {
            listen_port: PORT,
            mtu: MTU,
            addresses: vec![net("2a0a:e5c1:200::1/48")],
            routes: vec![net("2a0a:e5c1:200::/40")],
            peers: customers.iter().map(peer).collect(),
            private_key: self.key.clone(),
        }
    }

    pub(crate) fn desired(&self, generation: i64, customers: &[&Tunnel]) -> DesiredInterface {
        desired(generation, InterfaceState::Present(self.config(customers)))
    }

    pub(crate) fn try_apply(&self, desired: DesiredInterface) -> Result<ApplyReport, HostError> {
        self.runtime.block_on(self.host.apply(desired))
    }

    #[track_caller]
    pub(crate) fn apply(&self, desired: DesiredInterface) -> ApplyReport {
        self.try_apply(desired).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Applies two customers and waits until both have a session.
    pub(crate) fn with_two_customers(world: &'w World) -> (Self, Tunnel, Tunnel) {
        let site = Self::new(world);
        let (one, two) = (Tunnel::new(1), Tunnel::new(2));
        site.apply(site.desired(1, &[&one, &two]));
        for tunnel in [&one, &two] {
            tunnel.start(world, site.key.public_key(), PORT);
            tunnel.wait_for_answer(world, SERVER);
        }
        (site, one, two)
    }

    pub(crate) fn sh(&self, script: &str) -> String {
        self.world.sh_in(VPN_HOST, script)
    }

    pub(crate) fn has_interface(&self) -> bool {
        self.sh("ip -br link").contains("wg-1")
    }

    pub(crate) fn state_file(&self) -> PathBuf {
        self.dir.path().join("wg-1.json")
    }

    /// Everything that an apply could change, except what traffic changes.
    pub(crate) fn snapshot(&self) -> String {
        let mut machine = String::new();
        wait_until("the kernel has added the local routes of all IPv6 addresses", || {
            machine = self.sh("ip addr; ip -6 route show table all; ip -4 route show table all; \
                if [ -e /run/wireguard/wg-1.sock ]; then wg show wg-1 allowed-ips | sort; wg show wg-1 listen-port; fi");
            let mut addresses = machine.lines().filter_map(|line| line.trim_start().strip_prefix("inet6 "));
            addresses.all(|line| {
                let address = line.split('/').next().unwrap_or_default();
                !line.contains("tentative") && machine.contains(&format!("local {address} dev"))
            })
        });
        machine + &fs::read_to_string(self.state_file()).unwrap_or_default()
    }
}

pub(crate) fn desired(generation: i64, state: InterfaceState) -> DesiredInterface {
    DesiredInterface { version: VERSION, interface: "wg-1".parse().expect("name"), generation, state }
}
