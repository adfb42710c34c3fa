//! `./dev soak vpn --faults N --seed S`: random faults for as long as somebody wants; see `tests/hosts/soak`.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hosts/instance.rs"]
mod instance;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hosts/process.rs"]
mod process;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hosts/provider.rs"]
mod provider;
#[path = "../tests/hosts/soak/mod.rs"]
mod soak;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hosts/world.rs"]
mod world;

use std::process::ExitCode;

use clap::Parser as _;

use crate::soak::Outcome;

/// Hurts everything at random while customers work, and compares hosts and database again and again.
#[derive(Debug, clap::Parser)]
#[command(name = "./dev soak vpn")]
struct Args {
    /// How many faults.
    #[arg(long, default_value_t = 200)]
    faults: usize,
    /// From which everything random follows; the same seed, the same faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    world::run_program("soak vpn", 1, |world| tell(&args, &soak::run(world, args.faults, args.seed)))
}

#[expect(clippy::print_stdout, reason = "the figures are what the program is for")]
fn tell(args: &Args, outcome: &Outcome) {
    println!("\nseed {}: {outcome}", args.seed);
}
