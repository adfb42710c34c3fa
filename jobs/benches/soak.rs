//! `./dev soak vpn|runner|billing --faults N --seed S`: random faults for as long as somebody wants; see the `soak` in
//! `tests/hosts`, `tests/runner` and `tests/billing`.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/runner/actor.rs"]
mod actor;
#[path = "../tests/billing/soak/mod.rs"]
mod billing;
#[path = "../tests/hosts/gate.rs"]
mod gate;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hosts/instance.rs"]
mod instance;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/billing/office/mod.rs"]
mod office;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hosts/process.rs"]
mod process;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hosts/provider.rs"]
mod provider;
#[path = "../tests/hosts/random.rs"]
mod random;
#[path = "../tests/runner/soak/mod.rs"]
mod runner;
#[path = "../tests/hosts/soak/mod.rs"]
mod soak;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/runner/stage.rs"]
mod stage;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/hosts/world.rs"]
mod world;

use std::{fmt::Display, process::ExitCode};

use clap::{Parser as _, ValueEnum};

/// Hurts everything at random while customers work, and compares what they were promised with what is, again and again.
#[derive(Debug, clap::Parser)]
#[command(name = "./dev soak")]
struct Args {
    /// What is hurt.
    what: What,
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

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// VPN hosts and their provider.
    Vpn,
    /// Servers and workers with jobs of all sorts.
    Runner,
    /// Bill runs, by command and by workers; the faults are kills that hit a run.
    Billing,
}

fn main() -> ExitCode {
    actor::play();
    let args = Args::parse();
    match args.what {
        What::Vpn => world::run_program("soak vpn", 1, |world| tell(&args, &soak::run(world, args.faults, args.seed))),
        What::Runner => world::run_program("soak runner", 0, |_| tell(&args, &runner::run(args.faults, args.seed))),
        What::Billing => world::run_program("soak billing", 0, |_| tell(&args, &billing::run(args.faults, args.seed))),
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what the program is for")]
fn tell(args: &Args, outcome: &impl Display) {
    println!("\nseed {}: {outcome}", args.seed);
}
