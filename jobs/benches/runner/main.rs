//! `./dev bench runner`: what a job costs, beside `redis-benchmark` and `pgbench` on the same servers.
//!
//! Workers are processes with all of `uncloud-worker` but for what their jobs do, which is nothing. The server's part runs
//! here, as it does in `uncloud serve`. PostgreSQL keeps what it has committed.

mod carrier;
mod idle;
mod peers;
mod process_cost;
mod whole;

// What the tests have for the same purpose, of which this uses a part.
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/runner/actor.rs"]
mod actor;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/hosts/process.rs"]
mod process;
#[allow(dead_code, reason = "the VPN's bench uses the rest")]
#[path = "../vpn/report.rs"]
mod report;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/runner/stage.rs"]
mod stage;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/hosts/world.rs"]
mod world;

use std::path::PathBuf;

use clap::Parser as _;
use uncloud::embedded::throwaway::{Extra, ThrowawayPostgres};

use crate::{report::Report, stage::Stage};

/// Measures the job runner on this machine.
#[derive(Debug, clap::Parser)]
#[command(name = "./dev bench runner")]
struct Args {
    /// File to write the same figures to, by name.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also run a million jobs, and see what they leave in Redis.
    #[arg(long)]
    million: bool,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    actor::play();
    let args = Args::parse();
    let durable = ["fsync=on", "synchronous_commit=on", "full_page_writes=on"];
    let settings = durable.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]).collect();
    let postgres = ThrowawayPostgres::start_with(&Extra { args: settings, ..Extra::default() }).expect("PostgreSQL");
    let stage = Stage::on(postgres.url("uncloud").expose().clone());
    let mut report = Report::default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    report.add("cores", "machine: cores", u32::try_from(cores).map_or(0.0, f64::from), "", "", "");
    load(&mut report, "before");
    process_cost::measure(&stage, &mut report);
    let rpop = peers::redis_benchmark(&stage, &mut report);
    carrier::measure(&stage, rpop, &mut report);
    idle::push_to_start(&stage, &mut report);
    whole::measure(&stage, args.million, &mut report);
    load(&mut report, "after");
    report.print();
    if let Some(path) = &args.json {
        report.write(path);
    }
}

/// Load as the kernel counts it: what else runs here disturbs every other figure.
fn load(report: &mut Report, when: &str) {
    let text = std::fs::read_to_string("/proc/loadavg").expect("proc");
    let load = text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
    report.add(&format!("load_{when}"), &format!("machine: load {when}"), load, "", "", "one minute's mean");
}
