//! The plan of a run, which follows from the seed.

use std::time::Duration;

use crate::random::Random;

pub(super) const WORKERS: usize = 2;
/// The number of servers.
pub(super) const SERVERS: usize = 2;
/// The time limit for coming to rest: three deaths of workers, each with its lease, are over before.
pub(super) const SETTLES: Duration = Duration::from_mins(1);

/// A fault, or something that staff do in the middle of it. Numbers choose the server or the worker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    KillWorker(usize),
    /// Two signals, of which the second finds it at work.
    StopWorkerCold(usize),
    StopWorkerWarm(usize),
    FreezeWorker(usize),
    /// A worker whose time of day is wrong takes the place of another.
    WrongClock(usize),
    KillServer(usize),
    EmptyRedis,
    StopRedis(Duration),
    FreezeRedis(Duration),
    /// One of its processes dies hard, so all are started anew and the log is replayed.
    CrashPostgres,
    CutPostgres,
    /// An entry in Redis that no worker can read.
    Nonsense,
    /// A job that ends its worker.
    Abort,
    Pause(Duration),
    Revoke(usize),
    Scale(usize),
}

/// A fault and the time before it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) wait: Duration,
    pub(super) fault: Fault,
}

/// Makes a plan. Faults that take as long as a lease come less often.
pub(super) fn plan(random: &mut Random, faults: usize) -> Vec<Step> {
    let step = |_| {
        let worker = random.below(WORKERS);
        let server = random.below(SERVERS);
        let fault = match random.below(80) {
            0 => Fault::FreezeWorker(worker),
            1 => Fault::FreezeRedis(random.millis(5000, 8000)),
            2 => Fault::StopRedis(random.millis(5000, 9000)),
            3 => Fault::Abort,
            4..=5 => Fault::WrongClock(worker),
            6..=20 => Fault::KillWorker(worker),
            21..=24 => Fault::StopWorkerCold(worker),
            25..=28 => Fault::StopWorkerWarm(worker),
            29..=38 => Fault::KillServer(server),
            39..=43 => Fault::EmptyRedis,
            44..=48 => Fault::StopRedis(random.millis(50, 1500)),
            49..=50 => Fault::FreezeRedis(random.millis(50, 1500)),
            51..=54 => Fault::CrashPostgres,
            55..=58 => Fault::CutPostgres,
            59..=62 => Fault::Nonsense,
            63..=65 => Fault::Pause(random.millis(50, 500)),
            66..=73 => Fault::Revoke(random.below(100)),
            _ => Fault::Scale(1 + random.below(12)),
        };
        Step { wait: random.millis(0, 300), fault }
    };
    (0..faults).map(step).collect()
}

impl Fault {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::KillWorker(_) => "worker killed",
            Self::StopWorkerCold(_) => "worker stopped cold",
            Self::StopWorkerWarm(_) => "worker stopped warm",
            Self::FreezeWorker(_) => "worker frozen past its lease",
            Self::WrongClock(_) => "worker with a wrong clock",
            Self::KillServer(_) => "server killed",
            Self::EmptyRedis => "Redis emptied",
            Self::StopRedis(_) => "Redis gone",
            Self::FreezeRedis(_) => "Redis frozen",
            Self::CrashPostgres => "PostgreSQL crashed",
            Self::CutPostgres => "all sessions of PostgreSQL cut",
            Self::Nonsense => "entry that cannot be read",
            Self::Abort => "job that ends its worker",
            Self::Pause(_) => "queue paused",
            Self::Revoke(_) => "job revoked",
            Self::Scale(_) => "worker scaled",
        }
    }
}
