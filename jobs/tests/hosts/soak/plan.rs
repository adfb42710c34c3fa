//! What will go wrong, all of it known from the seed.

use std::time::Duration;

/// A thing that goes wrong. Numbers choose the host or the server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    KillWorker(usize),
    KillServer(usize),
    EmptyRedis,
    StopRedis(Duration),
    /// One of its processes dies hard, so all are started anew and the log is replayed.
    CrashPostgres,
    CutPostgres,
    DeleteInterface(usize),
    AddPeer(usize),
    RemoveAddress(usize),
    /// While another worker is there to take over.
    FreezeWorker(usize),
    SecondWorker(usize),
}

/// A fault and the time before it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) wait: Duration,
    pub(super) fault: Fault,
}

/// splitmix64: the same seed, the same numbers.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("small");
        usize::try_from(self.next() % limit).expect("small")
    }

    fn millis(&mut self, from: usize, to: usize) -> Duration {
        Duration::from_millis(u64::try_from(from + self.below(to - from)).expect("small"))
    }
}

/// The faults. A frozen worker takes as long as a lease, so it comes once in every forty.
pub(super) fn plan(random: &mut Random, faults: usize) -> Vec<Step> {
    let step = |_| {
        let host = random.below(super::stage::HOSTS.len());
        let fault = match random.below(40) {
            0 => Fault::FreezeWorker(host),
            1..=7 => Fault::KillWorker(host),
            8..=13 => Fault::KillServer(random.below(super::stage::SERVERS)),
            14..=17 => Fault::EmptyRedis,
            18..=20 => Fault::StopRedis(random.millis(50, 1500)),
            21..=22 => Fault::CrashPostgres,
            23..=25 => Fault::CutPostgres,
            26..=29 => Fault::DeleteInterface(host),
            30..=32 => Fault::AddPeer(host),
            33..=35 => Fault::RemoveAddress(host),
            _ => Fault::SecondWorker(host),
        };
        Step { wait: random.millis(0, 400), fault }
    };
    (0..faults).map(step).collect()
}
