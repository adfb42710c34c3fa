//! The plan of a run, which follows from the seed.

use std::time::Duration;

use crate::{random::Random, world::VPN_HOST};

/// Machines with a pool each: host name, network namespace, pool, size of its networks.
pub(super) const HOSTS: [(&str, &str, &str, u8); 2] = [
    ("vpn-1.example.ch", VPN_HOST, "2a0a:e5c1:200::/40", 48),
    ("vpn-2.example.ch", "client1", "2a0a:e5c1:300::/40", 50),
];
/// The number of servers.
pub(super) const SERVERS: usize = 2;
/// The time limit for coming to rest: leases, sweep, backoff and a reconcile are over long before.
pub(super) const SETTLES: Duration = Duration::from_mins(1);

/// A fault. Numbers choose the host or the server.
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
    /// A worker stands still while another one is there to take over.
    FreezeWorker(usize),
    SecondWorker(usize),
}

/// A fault and the time before it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) wait: Duration,
    pub(super) fault: Fault,
}

/// Makes a plan. A frozen worker takes as long as a lease, so it comes once in every forty.
pub(super) fn plan(random: &mut Random, faults: usize) -> Vec<Step> {
    let step = |_| {
        let host = random.below(HOSTS.len());
        let fault = match random.below(40) {
            0 => Fault::FreezeWorker(host),
            1..=7 => Fault::KillWorker(host),
            8..=13 => Fault::KillServer(random.below(SERVERS)),
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
