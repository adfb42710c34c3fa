//! `./dev bench` and `./dev soak`: performance of every part, and its behaviour under random faults.
//!
//! Everything is real: the programs as shipped, PostgreSQL, Redis, slapd, WireGuard in network namespaces. All benches
//! are one program, because each separate program would be linked and optimised on its own.

mod api;
mod billing;
mod cost;
mod machine;
mod pgbench;
mod report;
mod runner;
mod soak;
mod vpn;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(bin_name = "./dev bench", about = "Measures uncloud on this machine")]
struct Args {
    #[command(subcommand)]
    bench: Bench,
    /// Accepted, because Cargo passes it to every bench.
    #[arg(long = "bench", hide = true, global = true)]
    _by_cargo: bool,
}

#[derive(Debug, Subcommand)]
enum Bench {
    Vpn(vpn::Args),
    Runner(runner::Args),
    Billing(billing::Args),
    Api(api::Args),
    Soak(soak::Args),
}

fn main() -> ExitCode {
    uncloud_testkit::runner::play_role();
    match Args::parse().bench {
        Bench::Vpn(args) => vpn::run(&args),
        Bench::Runner(args) => runner::run(&args),
        Bench::Billing(args) => billing::run(&args),
        Bench::Api(args) => api::run(&args),
        Bench::Soak(args) => soak::run(&args),
    }
}
