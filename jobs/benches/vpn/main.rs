//! `./dev bench vpn`: how fast a request becomes a tunnel, how many a second, and what large pools cost.
//!
//! Everything is real: `uncloud up` with a durable PostgreSQL on a disk, its workers, WireGuard in a network namespace.

mod changes;
mod creation;
mod latency;
mod machine;
mod report;

// What the tests have for the same purpose, of which this uses a part.
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/hosts/instance.rs"]
mod instance;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/hosts/process.rs"]
mod process;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/hosts/provider.rs"]
mod provider;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/hosts/world.rs"]
mod world;

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::ExitCode};

use clap::Parser as _;
use serde_json::json;
use tempfile::TempDir;

use crate::{instance::Up, provider::HOST, report::Report, world::World};

/// Measures the VPN half on this machine.
#[derive(Debug, clap::Parser)]
#[command(name = "./dev bench vpn")]
struct Args {
    /// File to write the same figures to, by name.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    world::run_program("bench vpn", 0, |world| measure(world, &args))
}

fn measure(world: &World, args: &Args) {
    let folder = disk();
    let up = Up::start_in(folder.path().join("data"), HOST, |_| {});
    let mut report = Report::default();
    machine::measure(&up, folder.path(), &mut report);
    pool(&up, HOST, "2a0a:e5c1:200::/40", 51820);
    let commands = machine::commands_of_a_change(&up.namespace(), "");
    report.add("commands_ms", "commands of one change until its peer is there", commands, "ms", "", "");
    latency::measure(&up, commands, &mut report);
    latency::measure_with_sudo(world, &up, &mut report);
    creation::measure(&up, &mut report);
    changes::measure(&up, &mut report);
    machine::load(&mut report, "after");
    report.print();
    if let Some(path) = &args.json {
        report.write(path);
    }
}

/// A folder on a disk, not in memory, which PostgreSQL's user can reach.
fn disk() -> TempDir {
    let folder = tempfile::Builder::new().prefix("uncloud-bench-").tempdir_in("/var/tmp").expect("a folder");
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).expect("chmod");
    folder
}

/// Makes a pool of /48s and waits until its host has it.
fn pool(up: &Up, host: &str, network: &str, port: u16) -> i64 {
    let body = json!({ "network": network, "subnetwork_size": 48, "vpn_hostname": host, "listen_port": port });
    let staff = up.admin();
    let pool = staff.post("/v1/admin/vpnpool", &body).expect(201);
    staff.job_succeeds(&pool);
    pool["id"].as_i64().expect("an id")
}
