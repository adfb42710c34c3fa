//! `kill -9` at random moments of bill runs: in the end the bills must be those of undisturbed runs.
//!
//! From the seed follow the customers, the orders, and which process is killed when; how far it is by then does not.
//! A kill counts if it hits a run that has started and not ended.

mod plan;
mod runs;

use std::{
    collections::BTreeMap,
    fmt,
    os::unix::process::ExitStatusExt as _,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use self::{
    plan::{By, Ending, Faults, Kill, Round, WORKERS, round},
    runs::{Seen, Undisturbed, enqueue_run, has_started, seen, undisturbed, wait_for_end},
};
use crate::{
    billing::{BillingDatabase, BillingTemplate, BillingWorkers, Ledger, RUNS, wait_for_bill_run},
    process::Process,
    random::Random,
};

/// Several in each part of a run, and orders enough that a run takes longer than a process needs to begin.
const CUSTOMERS: usize = 250;

/// The result of a run, printed by [`fmt::Display`].
#[derive(Debug, Default)]
pub struct Outcome {
    took: Duration,
    /// Databases, each with all runs.
    rounds: usize,
    /// Those that hit a run, by how far it was: in tenths of its customers.
    tenths: BTreeMap<usize, usize>,
    commands: usize,
    workers: usize,
    /// Those before the run had started.
    early: usize,
    /// Those after it had ended.
    late: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { took, rounds, tenths, commands, workers, early, late } = self;
        let hits = self.hits();
        writeln!(
            f,
            "{hits} kills hit a run, {early} came before it, {late} after its end; {rounds} rounds in {took:.0?}"
        )?;
        writeln!(f, "killed: `uncloud bill run` {commands} times, `uncloud-worker` {workers} times")?;
        writeln!(f, "so many when 0, 10 … 100 % of the customers were done: {tenths:?}")?;
        write!(f, "all {rounds} ledgers equal the undisturbed one, numbers included")
    }
}

impl Outcome {
    /// Returns how many kills hit a run.
    pub fn hits(&self) -> usize {
        self.commands + self.workers
    }

    /// Returns how many of those hit a worker.
    pub fn worker_hits(&self) -> usize {
        self.workers
    }

    fn count(&mut self, by: By, seen: Seen) {
        match (seen, by) {
            (Seen::Before, _) => self.early += 1,
            (Seen::Ended, _) => self.late += 1,
            (Seen::Within(percent), by) => {
                *self.tenths.entry(percent / 10 * 10).or_default() += 1;
                match by {
                    By::Command => self.commands += 1,
                    By::Workers => self.workers += 1,
                }
            }
        }
    }

    /// Returns whether there are enough hits, a tenth of them of workers.
    fn suffices(&self, faults: usize) -> bool {
        self.hits() >= faults && self.workers >= faults / 10
    }
}

/// Kills until so many kills have hit a run; panics when a bill differs from those of undisturbed runs.
pub fn run(faults: usize, seed: u64) -> Outcome {
    let started = Instant::now();
    let mut random = Random::new(seed);
    let mut template = BillingTemplate::create(&mut random, CUSTOMERS);
    let by_command = undisturbed(&mut template, By::Command);
    let by_workers = undisturbed(&mut template, By::Workers);
    by_workers.ledger.assert_equal(&by_command.ledger);
    eprintln!("== undisturbed: by command {:.1?}, by workers {:.1?}", by_command.took, by_workers.took);
    let mut outcome = Outcome::default();
    while !outcome.suffices(faults) {
        assert!(outcome.rounds < 5 * (faults + 1), "kills do not hit: {outcome}");
        let round = round(&mut random, outcome.rounds);
        let expected = if round.by == By::Command { &by_command } else { &by_workers };
        template.copy(|database| {
            disturb(database, &round, expected, &mut outcome);
            database.assert_sound();
            Ledger::of(database).assert_equal(&by_command.ledger);
        });
        outcome.rounds += 1;
        let Outcome { rounds, early, late, .. } = outcome;
        let total = started.elapsed();
        eprintln!(
            "== round {rounds}: {}/{faults} hits, {early} early, {late} late (total {total:.0?})",
            outcome.hits()
        );
    }
    outcome.took = started.elapsed();
    outcome
}

fn disturb(database: &BillingDatabase, round: &Round, undisturbed: &Undisturbed, outcome: &mut Outcome) {
    let mut workers = (round.by == By::Workers).then(|| BillingWorkers::start(database, WORKERS));
    for ((as_of, faults), took) in RUNS.iter().zip(&round.runs).zip(undisturbed.took) {
        match &mut workers {
            None => disturb_command(database, as_of, faults, took, outcome),
            Some(workers) => disturb_workers(database, workers, as_of, faults, took, outcome),
        }
        match faults.ending {
            Ending::Next if has_started(database, as_of) => {}
            Ending::Same if round.by == By::Workers => wait_for_end(database, as_of),
            Ending::Next | Ending::Same | Ending::Command => wait_for_bill_run(&mut database.start_bill_run(as_of)),
        }
    }
}

/// Starts one command after the other, until one comes through.
fn disturb_command(database: &BillingDatabase, as_of: &str, faults: &Faults, took: Duration, outcome: &mut Outcome) {
    for kill in &faults.kills {
        let started = Instant::now();
        let command = database.start_bill_run(as_of);
        kill_at(command, started, *kill, took);
        let seen = seen(database, as_of);
        outcome.count(By::Command, seen);
        database.assert_sound();
        if seen == Seen::Ended {
            break;
        }
    }
}

fn disturb_workers(
    database: &BillingDatabase,
    workers: &mut BillingWorkers,
    as_of: &str,
    faults: &Faults,
    took: Duration,
    outcome: &mut Outcome,
) {
    let started = Instant::now();
    enqueue_run(database, as_of);
    for kill in &faults.kills {
        workers.replace(kill.worker, |worker| {
            kill_at(worker, started, *kill, took);
            outcome.count(By::Workers, seen(database, as_of));
        });
        database.assert_sound();
    }
}

/// Kills a process at the kill's moment, or at once if that has passed. It may have ended before.
fn kill_at(mut process: Process, started: Instant, kill: Kill, took: Duration) {
    let moment = took * u32::try_from(kill.at).expect("small") / 1000;
    thread::sleep(moment.saturating_sub(started.elapsed()));
    process.signal(Signal::SIGKILL);
    let status = process.wait();
    assert!(status.signal() == Some(9) || status.code().is_some_and(|code| code <= 1), "{status}");
}
