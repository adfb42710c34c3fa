//! `uncloud up` from outside: starts, is the only one, is found again after kill -9, and leaves nothing behind. Its workers are
//! a script here that writes down how it was started; what the real one does is tested with the hosts.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Uid;
use tempfile::TempDir;
use uncloud::embedded::Instance;
use uncloud_testkit::process::Process;
use uncloud_testkit::programs;
use uncloud_testkit::wait::wait_until;

const HOST: &str = "vpn.example.net";

const WORKER: &str = r#"#!/bin/sh
folder=$(dirname "$0")
case $* in
*billing*) role=billing ;;
restore*) role=restore ;;
*) role=host ;;
esac
printf '%s\n' "$*" >"$folder/$$" && mv "$folder/$$" "$folder/$role.args"
tr '\0' '\n' </proc/$$/environ >"$folder/$$" && mv "$folder/$$" "$folder/$role.env"
[ "$role" != restore ] || exit 0
trap 'exit 0' TERM
while :; do sleep 0.1; done
"#;

/// The program beside a worker of our own, and a data folder.
struct World {
    programs: TempDir,
    data: TempDir,
}

impl World {
    fn new() -> Self {
        let programs = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("folder for programs");
        std::fs::hard_link(programs::uncloud(), programs.path().join("uncloud")).expect("uncloud");
        let worker = programs.path().join("uncloud-worker");
        std::fs::write(&worker, WORKER).expect("worker");
        std::fs::set_permissions(&worker, PermissionsExt::from_mode(0o755)).expect("chmod");
        let data = TempDir::with_prefix_in("uncloud-up-", "/tmp").expect("data folder");
        std::fs::set_permissions(data.path(), PermissionsExt::from_mode(0o711)).expect("chmod");
        Self { programs, data }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.programs.path().join("uncloud"));
        command.args(["up", "--listen", "127.0.0.1:0", "--queue", HOST, "--data-dir"]).arg(self.data.path());
        for name in ["DATABASE_URL", "REDIS_URL", "UNCLOUD_ADMIN_PASSWORD", "UNCLOUD_SECRET_KEY"] {
            command.env_remove(name);
        }
        command.env("A_SECRET_OF_SOMEBODY", "x").stdin(Stdio::null());
        command
    }

    fn up(&self) -> Up {
        Up { process: Process::start("uncloud up", &mut self.command()) }
    }

    fn instance(&self) -> Instance {
        Instance::running(self.data.path()).expect("it runs")
    }

    /// The environment and arguments that a worker noted at its start.
    fn note(&self, name: &str) -> String {
        let path = self.programs.path().join(name);
        wait_until(name, || path.exists());
        std::fs::read_to_string(path).expect(name)
    }

    fn kept(&self, name: &str) -> String {
        let path = self.data.path().join(name);
        assert_eq!(path.metadata().expect(name).permissions().mode() & 0o777, 0o600, "{name}");
        std::fs::read_to_string(path).expect(name)
    }
}

/// A running `uncloud up`.
struct Up {
    process: Process,
}

impl Up {
    fn wait_ready(&mut self) {
        self.process.wait_for_line("uncloud is ready");
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // In order while that is possible, so that a failing test leaves no servers.
        if !self.process.has_ended() {
            self.process.signal(Signal::SIGTERM);
        }
        while !self.process.has_ended() {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn namespaces(instance: &Instance) -> Vec<PathBuf> {
    instance.hosts.iter().filter_map(|host| Some(Path::new("/run/netns").join(host.netns.as_ref()?))).collect()
}

fn assert_gone(instance: &Instance) {
    for child in &instance.children {
        assert!(!child.process.is_running(), "{} still runs", child.name);
    }
    for namespace in namespaces(instance) {
        assert!(!namespace.exists(), "{} is left", namespace.display());
    }
}

#[test]
fn up_after_kill_replaces_old_processes_and_leaves_nothing() {
    let world = World::new();
    let mut first = world.up();
    first.wait_ready();
    let before = world.instance();
    let names: Vec<&str> = before.children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(names, ["postgres", "redis", "worker billing", "worker vpn.example.net"]);
    let (password, key) = (world.kept("admin-password"), world.kept("secret-key"));
    assert!(namespaces(&before).iter().all(|namespace| namespace.exists()));
    if !Uid::effective().is_root() {
        let dry_run = before.hosts[0].dry_run.as_deref().expect("a dry run");
        assert!(dry_run.contains("root"), "{dry_run}");
    }

    let second = world.command().output().expect("second");
    let message = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(message.contains(&format!("(process {})", first.process.pid())), "{message}");

    first.process.signal(Signal::SIGKILL);
    first.process.wait();
    assert!(before.children.iter().all(|child| child.process.is_running()), "its children live on");

    let mut third = world.up();
    third.wait_ready();
    let after = world.instance();
    assert_ne!(before.process, after.process);
    for child in &before.children {
        assert!(!child.process.is_running(), "{} of the killed one still runs", child.name);
    }
    assert_eq!((password, key), (world.kept("admin-password"), world.kept("secret-key")), "secrets stay");

    assert!(third.process.terminate().success());
    assert_gone(&after);
    assert!(!after.runtime_dir.expect("a runtime folder").exists());
    assert!(!world.data.path().join("instance.json").exists());
}

#[test]
fn worker_started_by_up_gets_only_the_settings_it_needs() {
    let world = World::new();
    let mut up = world.up();
    up.wait_ready();
    let instance = world.instance();
    let state_dir = instance.hosts[0].state_dir.display().to_string();
    assert!(world.note("host.args").starts_with(&format!("--queue {HOST} --state-dir {state_dir}")));
    assert!(world.note("restore.args").starts_with(&format!("restore --state-dir {state_dir}")));
    assert!(world.note("billing.args").starts_with("--queue billing "));
    for (note, has_database) in [("host.env", false), ("restore.env", false), ("billing.env", true)] {
        let env = world.note(note);
        assert_eq!(env.contains("DATABASE_URL="), has_database, "{note}: {env}");
        assert!(env.contains("REDIS_URL=redis+unix://"), "{note}: {env}");
        let known = ["PATH", "RUST_LOG", "REDIS_URL", "DATABASE_URL"];
        for name in env.lines().filter_map(|line| Some(line.split_once('=')?.0)) {
            assert!(known.contains(&name), "{note} has {name}");
        }
    }
    up.process.signal(Signal::SIGINT);
    assert!(up.process.wait().success());
    assert_gone(&instance);
}

#[test]
fn up_with_invalid_settings_fails_with_one_line() {
    let world = World::new();
    for (argument, value, part) in [
        ("--queue", "not a name", "not a valid host name"),
        ("--database-url-file", "/does/not/exist", "DATABASE_URL_FILE"),
    ] {
        let output = world.command().args([argument, value]).output().expect("uncloud");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(message.contains(part) && message.trim_end().lines().count() == 1, "{message}");
    }
}
