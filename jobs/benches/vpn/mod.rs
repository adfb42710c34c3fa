//! `./dev bench vpn`: latency from a request to its tunnel, throughput, and the cost of large pools.
//!
//! Measures `uncloud up` with a durable PostgreSQL on a disk, its workers, and WireGuard in a network namespace.

mod changes;
mod creation;
mod latency;
mod machine;

use std::{fs, os::unix::fs::PermissionsExt, process::ExitCode};

use serde_json::json;
use tempfile::TempDir;
use uncloud_testkit::{
    fixtures::HOST,
    instance::RunningInstance,
    world::{self, World},
};

use crate::{
    machine::add_load,
    report::{Output, Report},
};

/// Measures latency from a request to its tunnel, throughput, and the cost of large pools.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    world::run_program("bench vpn", 0, |world| measure(world, args))
}

fn measure(world: &World, args: &Args) {
    let folder = disk();
    let up = RunningInstance::start_in(folder.path().join("data"));
    let mut report = Report::default();
    machine::measure(&up, folder.path(), &mut report);
    pool(&up, HOST, "2a0a:e5c1:200::/40", 51820);
    let commands = machine::commands_of_a_change(&up.namespace(), "");
    report.add("commands_ms", "commands of one change until its peer is there", commands, "ms", "", "");
    latency::measure(&up, commands, &mut report);
    latency::measure_with_sudo(world, &up, &mut report);
    creation::measure(&up, &mut report);
    changes::measure(&up, &mut report);
    add_load(&mut report, "after");
    report.finish(&args.output);
}

/// Creates a folder on a disk, not in memory, that PostgreSQL's user can access.
fn disk() -> TempDir {
    let folder = tempfile::Builder::new().prefix("uncloud-bench-").tempdir_in("/var/tmp").expect("a folder");
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).expect("chmod");
    folder
}

/// Creates a pool of /48s and waits until its host has it.
fn pool(up: &RunningInstance, host: &str, network: &str, port: u16) -> i64 {
    let body = json!({ "network": network, "subnetwork_size": 48, "vpn_hostname": host, "listen_port": port });
    let staff = up.admin();
    let pool = staff.post("/v1/admin/vpnpool", &body).expect(201);
    staff.job_succeeds(&pool);
    pool["id"].as_i64().expect("an id")
}
