//! A VPN host and its clients as network namespaces, joined by veth pairs, in a private world.
//!
//! ```text
//! vpnhost  h1 2001:db8:1::1 ---- 2001:db8:1::2 eth0  client1
//!          h2 2001:db8:2::1 ---- 2001:db8:2::2 eth0  client2
//! ```
//!
//! [`run`] starts the test program a second time in new mount and PID namespaces, and the scenario runs there. The
//! mounts hide `/run/netns` and `/run/wireguard` of the machine; when the PID namespace ends, however it ends, the
//! kernel kills every process in it, wireguard-go among them, and with the last process and mount the network
//! namespaces go too. So worlds need no cleanup, run in parallel, and leave nothing behind.
//!
//! The control socket of wireguard-go is found by name in `/run/wireguard`, which all namespaces of one world share:
//! give every interface in a world another name.

mod scenario;

pub use scenario::{run, run_program};

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::Path,
    process::Command,
};

use nix::{
    sched::{CloneFlags, setns},
    unistd::Pid,
};

use crate::command::succeed;

/// The network namespace of the VPN host.
pub const VPN_HOST: &str = "vpnhost";

/// Returns the network namespace of client `n`, counted from 1.
pub fn client(n: usize) -> String {
    format!("client{n}")
}

/// Returns the address at which client `n` reaches the VPN host.
pub fn host_address(n: usize) -> String {
    format!("2001:db8:{n}::1")
}

/// The world of a scenario. A value of this type proves that the code runs inside: the same commands outside would
/// change the machine.
#[derive(Debug)]
pub struct World(());

impl World {
    fn build(clients: usize) -> Self {
        let world = Self(());
        world.sh("mount -t tmpfs -o mode=755 world /run"); // what `uncloud up` makes there goes with the world
        for dir in ["/run/netns", "/run/wireguard"] {
            fs::create_dir_all(dir).expect("mount point");
            world.sh(&format!("mount -t tmpfs -o mode=755 world {dir}"));
        }
        world.sh("mount --make-shared /run/netns"); // otherwise `ip netns exec` does not see later namespaces
        world.sh(&format!("ip netns add {VPN_HOST}; ip -n {VPN_HOST} link set lo up"));
        world.sh_in(VPN_HOST, "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
        for n in 1..=clients {
            let client = client(n);
            world.sh(&format!("ip netns add {client}; ip -n {client} link set lo up"));
            world.sh(&format!("ip link add h{n} netns {VPN_HOST} type veth peer name eth0 netns {client}"));
            world.sh(&format!("ip -n {VPN_HOST} addr add {}/64 dev h{n} nodad", host_address(n)));
            world.sh(&format!("ip -n {VPN_HOST} link set h{n} up"));
            world.sh(&format!(
                "ip -n {client} addr add 2001:db8:{n}::2/64 dev eth0 nodad; ip -n {client} link set eth0 up"
            ));
        }
        world
    }

    /// Returns a command that will run inside a namespace: [`VPN_HOST`] or one of [`client`].
    pub fn command(&self, namespace: &str, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program);
        command
    }

    /// Runs a shell script outside of the namespaces and returns what it printed; panics when it fails.
    pub fn sh(&self, script: &str) -> String {
        self.sh_with(script, "")
    }

    /// Runs a shell script outside of the namespaces with a text on standard input.
    pub fn sh_with(&self, script: &str, input: &str) -> String {
        succeed(Command::new("sh").args(["-euc", script]), input)
    }

    /// Runs a shell script in a namespace and returns what it printed; panics when it fails.
    pub fn sh_in(&self, namespace: &str, script: &str) -> String {
        self.sh_in_with(namespace, script, "")
    }

    /// Runs a shell script in a namespace with a text, such as a key, on standard input.
    pub fn sh_in_with(&self, namespace: &str, script: &str, input: &str) -> String {
        succeed(self.command(namespace, "sh").args(["-euc", script]), input)
    }

    /// Puts the calling thread, and all threads and processes that it starts from now on, into a namespace.
    pub fn enter(&self, namespace: &str) {
        let file = File::open(Path::new("/run/netns").join(namespace)).expect("namespace");
        setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter it");
    }

    /// Sends echo requests, 50 ms apart, until `count` replies have come or three seconds have passed, and returns the
    /// number of replies. With a count alone `ping` gives up a late reply after twice the time that others took.
    pub fn ping(&self, namespace: &str, destination: &str, count: usize) -> usize {
        self.ping_with(namespace, &format!("-c {count} -w 3 {destination}"))
    }

    /// Sends echo requests with options of the test's own for `ping`, such as `-I` for another source.
    pub fn ping_with(&self, namespace: &str, options: &str) -> usize {
        let script = format!("ping -n -q -i 0.05 -W 1 {options} || true");
        let printed = self.sh_in(namespace, &script);
        let received = printed.split(", ").find_map(|part| part.strip_suffix(" received"));
        received.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("ping {options}: {printed}"))
    }

    /// Returns the wireguard-go processes of this world, without zombies.
    pub fn userspace_tunnels(&self) -> Vec<Pid> {
        let stat = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("stat")).ok();
        let stats = fs::read_dir("/proc").expect("proc").flatten().filter_map(stat);
        let alive = stats.filter(|stat| stat.contains("(wireguard-go)") && !stat.contains(") Z "));
        let pid = |stat: String| stat.split(' ').next().and_then(|pid| pid.parse().ok());
        alive.map(|stat| Pid::from_raw(pid(stat).expect("a pid"))).collect()
    }
}
