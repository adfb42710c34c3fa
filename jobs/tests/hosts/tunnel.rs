//! A customer's end of a tunnel, and watching it without a gap.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use ring::rand::SystemRandom;
use uncloud_testkit::{
    wait::wait_until,
    world::{World, client, host_address},
};
use uncloud_wire::key::{PrivateKey, PublicKey};

/// A customer with a /48: client `n` has `2a0a:e5c1:20<n>::/48` of the pool `2a0a:e5c1:200::/40`.
pub(crate) struct Tunnel {
    n: usize,
    key: PrivateKey,
}

impl Tunnel {
    /// Makes a key, but nothing on the machine yet.
    pub(crate) fn new(n: usize) -> Self {
        Self { n, key: PrivateKey::generate(&SystemRandom::new()).expect("random numbers") }
    }

    /// The public key that the customer gives to the provider.
    pub(crate) fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    /// The customer's prefix.
    pub(crate) fn prefix(&self) -> String {
        format!("2a0a:e5c1:20{}::/48", self.n)
    }

    /// The first address in it.
    pub(crate) fn address(&self) -> String {
        format!("2a0a:e5c1:20{}::1", self.n)
    }

    /// The namespace.
    pub(crate) fn namespace(&self) -> String {
        client(self.n)
    }

    fn interface(&self) -> String {
        format!("wg-c{}", self.n)
    }

    /// Starts the tunnel to the server's port on the VPN host.
    pub(crate) fn start(&self, world: &World, server: PublicKey, port: u16) {
        let (namespace, interface) = (self.namespace(), self.interface());
        world.sh_in(&namespace, &format!("wireguard-go {interface} >/dev/null 2>&1"));
        self.connect(world, server, port);
        world.sh_in(
            &namespace,
            &format!(
                "ip link set {interface} mtu 1420 up; ip addr add {}/48 dev {interface} nodad; \
                 ip route add 2a0a:e5c1:200::/40 dev {interface}",
                self.address()
            ),
        );
    }

    /// Forgets the session and makes the next packet open a new one; after a server lost its sessions this
    /// spares the 15 seconds until WireGuard does so by itself.
    pub(crate) fn connect(&self, world: &World, server: PublicKey, port: u16) {
        let text = format!(
            "[Interface]\nPrivateKey = {}\n[Peer]\nPublicKey = {server}\nEndpoint = [{}]:{port}\n\
             AllowedIPs = 2a0a:e5c1:200::/40\n",
            self.key.expose_base64(),
            host_address(self.n),
        );
        world.sh_in_with(&self.namespace(), &format!("wg setconf {} /dev/stdin", self.interface()), &text);
    }

    /// Waits for the first response through the tunnel.
    pub(crate) fn wait_for_answer(&self, world: &World, destination: &str) {
        let namespace = self.namespace();
        wait_until(&format!("{namespace} reaches {destination}"), || world.ping(&namespace, destination, 1) == 1);
    }
}

/// A ping of 50 requests a second that sees every lost packet.
pub(crate) struct SteadyPing {
    child: Child,
    lines: BufReader<ChildStdout>,
    /// Numbers of the answered requests.
    answered: Vec<usize>,
}

impl SteadyPing {
    /// Starts it in a namespace.
    pub(crate) fn start(world: &World, namespace: &str, destination: &str) -> Self {
        let mut command = world.command(namespace, "ping");
        let mut child = command
            .args(["-n", "-i", "0.02", destination])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ping starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, lines, answered: Vec::new() }
    }

    /// Reads until that many more answers came.
    pub(crate) fn read(&mut self, answers: usize) {
        let enough = self.answered.len() + answers;
        let mut line = String::new();
        while self.answered.len() < enough {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).expect("readable"), 0, "ping ended early");
            let number = line.split("icmp_seq=").nth(1).and_then(|rest| rest.split(' ').next());
            self.answered.extend(number.and_then(|number| number.parse::<usize>().ok()));
        }
    }

    /// Stops it and returns the numbers of the requests that had no response, up to the last one that had.
    pub(crate) fn lost(mut self) -> Vec<usize> {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid"));
        kill(pid, Signal::SIGINT).expect("still running");
        self.child.wait().expect("ends");
        let last = self.answered.last().copied().unwrap_or_default();
        (1..=last).filter(|number| !self.answered.contains(number)).collect()
    }
}
