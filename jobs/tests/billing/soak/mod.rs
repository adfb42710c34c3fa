//! `kill -9` at random moments of bill runs: in the end the bills must be those of runs of which nobody was killed.
//!
//! From a seed follow the customers, the orders, and who is killed when; how far a process is by then does not. A kill counts
//! if it hits a run that has begun and not ended.

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
    runs::{Seen, Undisturbed, ask, has_begun, seen, undisturbed, wait_for_end},
};
use crate::{
    office::{Books, Crew, Ledger, Office, RUNS, end},
    process::Process,
    random::Random,
};

/// Several in each part of a run, and orders enough that a run takes longer than a process needs to begin.
const CUSTOMERS: usize = 250;

/// What the kills came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    took: Duration,
    /// Databases, each with all runs.
    rounds: usize,
    /// Those that hit a run, by how far it was: in tenths of its customers.
    tenths: BTreeMap<usize, usize>,
    commands: usize,
    workers: usize,
    /// Before the run had begun, and when it had ended.
    early: usize,
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
    fn hits(&self) -> usize {
        self.commands + self.workers
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

    /// A tenth of the hits are workers'.
    fn suffices(&self, faults: usize) -> bool {
        self.hits() >= faults && self.workers >= faults / 10
    }
}

/// Kills until so many have hit a run; panics with what was wrong.
pub(crate) fn run(faults: usize, seed: u64) -> Outcome {
    let started = Instant::now();
    let mut random = Random(seed);
    let mut books = Books::open(&mut random, CUSTOMERS);
    let by_command = undisturbed(&mut books, By::Command);
    let by_workers = undisturbed(&mut books, By::Workers);
    by_workers.ledger.assert_equal(&by_command.ledger);
    eprintln!("== undisturbed: by command {:.1?}, by workers {:.1?}", by_command.took, by_workers.took);
    let mut outcome = Outcome::default();
    while !outcome.suffices(faults) {
        assert!(outcome.rounds < 5 * (faults + 1), "kills do not hit: {outcome}");
        let round = round(&mut random, outcome.rounds);
        let expected = if round.by == By::Command { &by_command } else { &by_workers };
        books.copy(|office| {
            disturb(office, &round, expected, &mut outcome);
            office.assert_sound();
            Ledger::of(office).assert_equal(&by_command.ledger);
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

fn disturb(office: &Office, round: &Round, undisturbed: &Undisturbed, outcome: &mut Outcome) {
    let mut crew = (round.by == By::Workers).then(|| Crew::start(office, WORKERS));
    for ((as_of, faults), took) in RUNS.iter().zip(&round.runs).zip(undisturbed.took) {
        match &mut crew {
            None => disturb_command(office, as_of, faults, took, outcome),
            Some(crew) => disturb_workers(office, crew, as_of, faults, took, outcome),
        }
        match faults.ending {
            Ending::Next if has_begun(office, as_of) => {}
            Ending::Same if round.by == By::Workers => wait_for_end(office, as_of),
            Ending::Next | Ending::Same | Ending::Command => end(&mut office.bill_run(as_of)),
        }
    }
}

/// One command after the other, until one comes through.
fn disturb_command(office: &Office, as_of: &str, faults: &Faults, took: Duration, outcome: &mut Outcome) {
    for kill in &faults.kills {
        let started = Instant::now();
        let command = office.bill_run(as_of);
        kill_at(command, started, *kill, took);
        let seen = seen(office, as_of);
        outcome.count(By::Command, seen);
        office.assert_sound();
        if seen == Seen::Ended {
            break;
        }
    }
}

fn disturb_workers(
    office: &Office,
    crew: &mut Crew,
    as_of: &str,
    faults: &Faults,
    took: Duration,
    outcome: &mut Outcome,
) {
    let started = Instant::now();
    ask(office, as_of);
    for kill in &faults.kills {
        crew.kill(kill.worker, |worker| {
            kill_at(worker, started, *kill, took);
            outcome.count(By::Workers, seen(office, as_of));
        });
        office.assert_sound();
    }
}

/// At the kill's moment, or at once if that has passed. Whoever is killed may have come to an end before.
fn kill_at(mut process: Process, started: Instant, kill: Kill, took: Duration) {
    let moment = took * u32::try_from(kill.at).expect("small") / 1000;
    thread::sleep(moment.saturating_sub(started.elapsed()));
    process.signal(Signal::SIGKILL);
    let status = process.wait();
    assert!(status.signal() == Some(9) || status.code().is_some_and(|code| code <= 1), "{status}");
}

#[cfg(test)]
mod tests {
    /// A short run; `./dev soak billing` makes long ones.
    #[test]
    fn ten_kills_change_no_bill() {
        let outcome = super::run(10, 1);
        assert!(outcome.hits() >= 10 && outcome.workers >= 1, "{outcome}");
        eprintln!("{outcome}");
    }
}
