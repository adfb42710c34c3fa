//! `./dev soak`: random faults for as long as somebody wants.

use std::{fmt::Display, process::ExitCode};

use clap::ValueEnum;
use uncloud_testkit::{soak, world};

/// Hurts everything at random while customers work, and compares again and again what they were promised with what is.
#[derive(Debug, clap::Args)]
#[command(override_usage = "./dev soak [OPTIONS] <WHAT>")]
pub(crate) struct Args {
    /// What is hurt.
    what: What,
    /// How many faults.
    #[arg(long, default_value_t = 200)]
    faults: usize,
    /// The number from which everything random follows; the same seed, the same faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// VPN hosts and their provider.
    Vpn,
    /// Servers and workers with jobs of all sorts.
    Runner,
    /// Bill runs, by command and by workers; the faults are kills that hit a run.
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

#[expect(clippy::print_stdout, reason = "the figures are what the program is for")]
fn print(seed: u64, outcome: &impl Display) {
    println!("\nseed {seed}: {outcome}");
}
