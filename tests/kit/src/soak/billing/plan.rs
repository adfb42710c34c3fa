//! The plan of a run, which follows from the seed: which process is killed when.

use crate::{billing::RUNS, random::Random};

/// The process that makes the bills of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// `uncloud bill run`.
    Command,
    /// The job, with two workers.
    Workers,
}

/// One life of a database: all of [`RUNS`], each with its faults.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) by: By,
    pub(super) runs: [Faults; RUNS.len()],
}

/// The fate of one run.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) kills: Vec<Kill>,
    /// The process that ends it after the last kill.
    pub(super) ending: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The one that started it.
    Same,
    /// `uncloud bill run`.
    Command,
    /// The run after it, which finds this one open; if this one has not started, it is made all the same.
    Next,
}

/// A kill with SIGKILL.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kill {
    /// In thousandths of the time that the run takes undisturbed.
    pub(super) at: usize,
    /// The worker that is killed.
    pub(super) worker: usize,
}

pub(super) const WORKERS: usize = 2;

/// Makes the plan of a round. A killed worker's jobs wait six seconds for another one, so those rounds come less
/// often and have more kills.
pub(super) fn round(random: &mut Random, number: usize) -> Round {
    let by = if number % 4 == 1 { By::Workers } else { By::Command };
    let mut runs = [0, 1, 2].map(|_| faults(random, by));
    if by == By::Command {
        let last = runs.len() - 1;
        for faults in &mut runs[..last] {
            faults.ending = if random.below(3) == 0 { Ending::Next } else { Ending::Same };
        }
    }
    Round { by, runs }
}

fn faults(random: &mut Random, by: By) -> Faults {
    let (kills, ending) = match by {
        By::Command => (1 + random.below(3), Ending::Same),
        By::Workers => (2 + random.below(3), if random.below(2) == 0 { Ending::Same } else { Ending::Command }),
    };
    let mut kills: Vec<Kill> =
        (0..kills).map(|_| Kill { at: random.below(1000), worker: random.below(WORKERS) }).collect();
    if by == By::Workers {
        kills.sort_by_key(|kill| kill.at); // of one run's time; each command has a time of its own
    }
    Faults { kills, ending }
}
