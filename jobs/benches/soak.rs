//! `./dev soak`: random faults for any length of time.

use std::{fmt::Display, process::ExitCode};

use clap::ValueEnum;
use uncloud_testkit::{soak, world};

/// Injects random faults into everything while customers work, and repeatedly compares the promised state with the
/// actual one.
#[derive(Debug, clap::Args)]
#[command(override_usage = "./dev soak [OPTIONS] <WHAT>")]
pub(crate) struct Args {
    /// Target of the faults.
    what: What,
    /// Number of faults.
    #[arg(long, default_value_t = 200)]
    faults: usize,
    /// Seed of the random numbers; the same seed gives the same faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// VPN hosts and their provider.
    Vpn,
    /// Servers and workers with jobs of all sorts.
    Runner,
    /// Bill runs, started by command and by workers; the faults kill running ones.
    Billing,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let Args { what, faults, seed } = *args;
    match what {
        What::Vpn => world::run_program("soak vpn", 1, |world| print(seed, &soak::vpn::run(world, faults, seed))),
        What::Runner => world::run_program("soak runner", 0, |_| print(seed, &soak::runner::run(faults, seed))),
        What::Billing => world::run_program("soak billing", 0, |_| print(seed, &soak::billing::run(faults, seed))),
    }
}

#[expect(clippy::print_stdout, reason = "the figures are the program's result")]
fn print(seed: u64, outcome: &impl Display) {
    println!("\nseed {seed}: {outcome}");
}
