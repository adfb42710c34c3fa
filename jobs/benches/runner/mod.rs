//! `./dev bench runner`: the cost of a job, compared with `redis-benchmark` and `pgbench` on the same servers.
//!
//! Workers are processes with all of `uncloud-worker`, but their jobs do nothing. The server's part runs in this
//! process, as it does in `uncloud serve`. PostgreSQL is durable.

mod carrier;
mod idle;
mod peers;
mod start;
mod whole;

use std::process::ExitCode;

use uncloud_testkit::{runner::Stage, servers::PostgresServer};

use crate::{
    machine::{add_cores, add_load},
    report::{Output, Report},
};

/// Measures the cost of a job, compared with `redis-benchmark` and `pgbench` on the same servers.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    output: Output,
    /// Also run a million jobs, and measure the memory that they leave in use in Redis.
    #[arg(long)]
    million: bool,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let postgres = PostgresServer::start_durable(&[]);
    let stage = Stage::on(postgres.url("uncloud").expose().clone());
    let mut report = Report::default();
    add_cores(&mut report);
    add_load(&mut report, "before");
    start::measure(&stage, &mut report);
    let rpop = peers::redis_benchmark(&stage, &mut report);
    carrier::measure(&stage, rpop, &mut report);
    idle::push_to_start(&stage, &mut report);
    whole::measure(&stage, args.million, &mut report);
    add_load(&mut report, "after");
    report.finish(&args.output);
    ExitCode::SUCCESS
}
