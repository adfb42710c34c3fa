//! Starting a test or a bench a second time, inside a world.

use std::{
    env,
    io::{self, Write as _},
    path::Path,
    process::{Command, ExitCode, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::World;

/// The variable that names the scenario which runs inside; set for the second start of the program.
const INSIDE: &str = "UNCLOUD_TEST_WORLD";

/// A scenario that takes longer hangs.
const DEADLINE: Duration = Duration::from_mins(3);

/// Runs the scenario `name` of a program other than a test, and shows what it writes as it comes.
///
/// The program is started again inside, with the arguments that it has, and has to come here a second time.
pub fn run_program(name: &str, clients: usize, scenario: impl FnOnce(&World)) -> ExitCode {
    if env::var(INSIDE).is_ok_and(|inside| inside == name) {
        scenario(&World::build(clients));
        return ExitCode::SUCCESS;
    }
    if let Some(missing) = missing_requirement() {
        eprintln!("{name} needs {missing}");
        return ExitCode::FAILURE;
    }
    let mut command = unshare();
    command.args(env::args_os().skip(1)).env(INSIDE, name);
    let status = command.status().expect("unshare is there");
    ExitCode::from(u8::from(!status.success()))
}

/// Runs the scenario of a test in a world with `clients` clients; panics when it panics, hangs, or does not run at all.
///
/// The scenario must be a closure written in the body of a `#[test]` function, whose name is taken from its type.
/// On a machine that can't build a world, prints the reason and returns; with `CI` set, panics instead.
pub fn run<F: FnOnce(&World)>(clients: usize, scenario: F) {
    let test = test_name::<F>();
    if env::var(INSIDE).is_ok_and(|inside| inside == test) {
        let world = World::build(clients);
        scenario(&world);
        return writeln!(io::stdout(), "{}", completed(test)).expect("read by the first start");
    }
    if let Some(missing) = missing_requirement() {
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

/// Returns the command that starts this program once more, in mounts and processes of its own.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(env::current_exe().expect("path of this program"));
    command
}

/// Returns a test's name as the test harness knows it: `hosts::apply::some_test::{{closure}}` without both ends.
fn test_name<F>() -> &'static str {
    let path = std::any::type_name::<F>();
    let path = path.split_once("::").map_or(path, |(_, path)| path);
    path.split("::{{closure}}").next().unwrap_or(path)
}

fn completed(test: &str) -> String {
    format!("world completed: {test}")
}

/// Returns the first thing that a world needs and that this machine or user does not have.
fn missing_requirement() -> Option<&'static str> {
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

/// Runs a command to its end; after the deadline, kills it and panics.
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
        let printed = [String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)].concat();
        panic!("{command:?} did not end within {deadline:?}:\n{printed}")
    };
    Output { status, stdout, stderr }
}
