//! A private world for a test: a VPN host and its clients as network namespaces, joined by veth pairs.
//!
//! ```text
//! vpnhost  h1 2001:db8:1::1 ---- 2001:db8:1::2 eth0  client1
//!          h2 2001:db8:2::1 ---- 2001:db8:2::2 eth0  client2
//! ```
//!
//! [`run`] starts the test's own binary a second time in new mount and PID namespaces, and the scenario runs
//! there. The mounts hide `/run/netns` and `/run/wireguard` of the machine; when the PID namespace ends, however
//! it ends, the kernel kills every process in it, wireguard-go among them, and with the last process and mount
//! the network namespaces go too. So worlds need no cleanup, run in parallel, and leave nothing behind.
//! The control socket of wireguard-go is found by name in `/run/wireguard`, which all namespaces of
//! one world share: give every interface in a world another name.

use std::{
    env,
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    process::{Command, ExitCode, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, setns},
    unistd::Pid,
};

/// The namespace of the VPN host.
pub(crate) const VPN_HOST: &str = "vpnhost";

/// Names the test that runs inside; set for the second start of the test's binary.
const INSIDE: &str = "UNCLOUD_TEST_WORLD";

/// A scenario that takes longer hangs.
const DEADLINE: Duration = Duration::from_mins(3);

/// The world that a scenario runs in. Holding one proves to be inside: the same commands outside would change
/// the machine.
pub(crate) struct World(());

/// Runs the scenario of a program that is no test, `name`, and shows what it writes as it comes. The program calls this
/// again when it is started inside, so it must come here whatever its arguments are.
#[allow(dead_code, reason = "the benches use it")]
pub(crate) fn run_program(name: &str, clients: usize, scenario: impl FnOnce(&World)) -> ExitCode {
    if env::var(INSIDE).is_ok_and(|inside| inside == name) {
        scenario(&World::build(clients));
        return ExitCode::SUCCESS;
    }
    if let Some(missing) = missing_capability() {
        eprintln!("{name} needs {missing}");
        return ExitCode::FAILURE;
    }
    let mut command = unshare();
    command.args(env::args_os().skip(1)).env(INSIDE, name);
    let status = command.status().expect("unshare is there");
    ExitCode::from(u8::from(!status.success()))
}

/// This program once more, in mounts and processes of its own.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(env::current_exe().expect("path of this program"));
    command
}

/// Runs a scenario in a world with that many clients; fails when it panics, hangs, or does not run at all.
///
/// The scenario must be a closure written in the body of a `#[test]` function, whose name is taken from its
/// type. Where the machine cannot build a world, this says why and returns; with `CI` set it fails instead.
pub(crate) fn run<F: FnOnce(&World)>(clients: usize, scenario: F) {
    let test = test_name::<F>();
    if env::var(INSIDE).is_ok_and(|inside| inside == test) {
        let world = World::build(clients);
        scenario(&world);
        return writeln!(io::stdout(), "{}", completed(test)).expect("read by the first start");
    }
    if let Some(missing) = missing_capability() {
        assert!(env::var_os("CI").is_none(), "{test} needs {missing}");
        // Past the test harness, which keeps the output of passed tests to itself.
        return writeln!(io::stderr(), "SKIPPED {test}: needs {missing}").expect("stderr");
    }
    let mut command = unshare();
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(INSIDE, test);
    let output = finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()), DEADLINE);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // Without the second half, a misspelt name would run no test and pass.
    let passed = output.status.success() && stdout.contains(&completed(test));
    assert!(passed, "{test}, {}:\n{stdout}\n{stderr}", output.status);
}

/// `hosts::apply::some_test::{{closure}}` without both ends, as the test harness knows it.
fn test_name<F>() -> &'static str {
    let path = std::any::type_name::<F>();
    let path = path.split_once("::").map_or(path, |(_, path)| path);
    path.split("::{{closure}}").next().unwrap_or(path)
}

fn completed(test: &str) -> String {
    format!("world completed: {test}")
}

fn missing_capability() -> Option<&'static str> {
    let installed = |program: &str| {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|dir| Path::new(dir).join(program).exists())
    };
    if !nix::unistd::geteuid().is_root() {
        return Some("root (network namespaces)");
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("/dev/net/tun (wireguard-go)");
    }
    let programs = [
        ("ip", "`ip` (package iproute2)"),
        ("wg", "`wg` (package wireguard-tools)"),
        ("wireguard-go", "`wireguard-go` (package wireguard-go)"),
        ("ping", "`ping` (package iputils-ping)"),
        ("unshare", "`unshare` (package util-linux)"),
    ];
    programs.into_iter().find(|(program, _)| !installed(program)).map(|(_, missing)| missing)
}

/// Runs to the end, or kills it and panics.
fn finish(command: &mut Command, deadline: Duration) -> Output {
    let mut child = command.spawn().expect("starts");
    let read = |mut pipe: Box<dyn io::Read + Send>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            bytes
        })
    };
    let stdout = child.stdout.take().map(|pipe| read(Box::new(pipe)));
    let stderr = child.stderr.take().map(|pipe| read(Box::new(pipe)));
    let started = Instant::now();
    let status = loop {
        match child.try_wait().expect("child") {
            Some(status) => break Some(status),
            None if started.elapsed() > deadline => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let joined =
        |reader: Option<thread::JoinHandle<Vec<u8>>>| reader.map_or_else(Vec::new, |r| r.join().expect("read"));
    let (stdout, stderr) = (joined(stdout), joined(stderr));
    let Some(status) = status else {
        let said = [String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)].concat();
        panic!("{command:?} did not end within {deadline:?}:\n{said}")
    };
    Output { status, stdout, stderr }
}

/// Asks until it holds; panics with what was waited for.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "waited 30 s in vain for: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[expect(clippy::unused_self, reason = "a World is the proof to be inside of one")]
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

    /// A command that will run inside a namespace; [`VPN_HOST`] or `client1`, `client2` and so on.
    pub(crate) fn command(&self, namespace: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program);
        command
    }

    /// Runs a shell script outside of the namespaces and returns what it printed; panics when it fails.
    pub(crate) fn sh(&self, script: &str) -> String {
        succeed(Command::new("sh").args(["-euc", script]), None)
    }

    /// The same with a text on standard input.
    pub(crate) fn sh_with(&self, script: &str, input: &str) -> String {
        succeed(Command::new("sh").args(["-euc", script]), Some(input))
    }

    /// Runs a shell script in a namespace and returns what it printed; panics when it fails.
    pub(crate) fn sh_in(&self, namespace: &str, script: &str) -> String {
        succeed(self.command(namespace, "sh").args(["-euc", script]), None)
    }

    /// The same with a text on standard input, for keys.
    pub(crate) fn sh_in_with(&self, namespace: &str, script: &str, input: &str) -> String {
        succeed(self.command(namespace, "sh").args(["-euc", script]), Some(input))
    }

    /// Puts the calling thread, and all threads and processes that it starts from now on, into a namespace.
    pub(crate) fn enter(&self, namespace: &str) {
        let file = File::open(Path::new("/run/netns").join(namespace)).expect("namespace");
        setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter it");
    }

    /// Sends `count` echo requests, 50 ms apart, and returns how many answers came within a second.
    pub(crate) fn ping(&self, namespace: &str, destination: &str, count: usize) -> usize {
        self.ping_with(namespace, &format!("-c {count} {destination}"))
    }

    /// The same with options of your own for `ping`, such as `-I` for another source.
    pub(crate) fn ping_with(&self, namespace: &str, options: &str) -> usize {
        let script = format!("ping -n -q -i 0.05 -W 1 {options} || true");
        let printed = self.sh_in(namespace, &script);
        let received = printed.split(", ").find_map(|part| part.strip_suffix(" received"));
        received.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("ping {options}: {printed}"))
    }

    /// The wireguard-go processes of this world; without ended ones that nobody waited for.
    pub(crate) fn userspace_tunnels(&self) -> Vec<Pid> {
        let stat = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("stat")).ok();
        let stats = fs::read_dir("/proc").expect("proc").flatten().filter_map(stat);
        let alive = stats.filter(|stat| stat.contains("(wireguard-go)") && !stat.contains(") Z "));
        let pid = |stat: String| stat.split(' ').next().and_then(|pid| pid.parse().ok());
        alive.map(|stat| Pid::from_raw(pid(stat).expect("a pid"))).collect()
    }
}

/// The namespace of a client, counted from 1.
pub(crate) fn client(n: usize) -> String {
    format!("client{n}")
}

/// Where a client reaches the VPN host.
pub(crate) fn host_address(n: usize) -> String {
    format!("2001:db8:{n}::1")
}

fn succeed(command: &mut Command, input: Option<&str>) -> String {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), input) {
        pipe.write_all(text.as_bytes()).expect("read by the command");
    }
    let output = child.wait_with_output().expect("child");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}
