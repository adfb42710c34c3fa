//! Faults at random, for as long as somebody wants, while customers come, change their keys and go.
//!
//! From a seed follow the faults, their order and parameters, and every customer's decisions; how processes interleave
//! does not. Every few faults all hold still: then hosts, database and what the customers were told must be one.

mod check;
mod customer;
mod plan;
mod stage;

use std::{
    collections::BTreeMap,
    fmt, thread,
    time::{Duration, Instant},
};

use self::{
    customer::Customer,
    plan::{Fault, Step, plan},
    stage::Stage,
};
use crate::{gate::Gate, random::Random, world::World};

/// Faults between two moments of rest.
const ROUND: usize = 20;
/// Nothing has to take longer to come to rest: leases, sweep, backoff and a reconcile are over long before.
pub(crate) const SETTLES: Duration = Duration::from_mins(1);

/// What a run came to.
pub(crate) struct Outcome {
    took: Duration,
    /// By kind.
    faults: BTreeMap<&'static str, usize>,
    /// Answered requests, by kind.
    requests: BTreeMap<&'static str, usize>,
    /// How long coming to rest took, each time.
    settled: Vec<Duration>,
    /// Jobs by their last state.
    jobs: BTreeMap<String, i64>,
    /// Networks in the end.
    networks: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { took, faults, requests, settled, jobs, networks } = self;
        let longest = settled.iter().max().copied().unwrap_or(Duration::ZERO);
        let count: usize = faults.values().sum();
        writeln!(f, "{count} faults in {took:.0?}: hosts equal the database, nothing allocated twice")?;
        writeln!(f, "came to rest {} times, within {longest:.1?}; {networks} networks in the end", settled.len())?;
        write!(f, "faults   {faults:?}\nrequests {requests:?}\njobs     {jobs:?}")
    }
}

/// Runs so many faults; panics with what was wrong.
pub(crate) fn run(world: &World, faults: usize, seed: u64) -> Outcome {
    let started = Instant::now();
    let mut random = Random(seed);
    let steps = plan(&mut random, faults);
    let mut stage = Stage::start(world);
    let customers: Vec<Customer> = stage::USERS.iter().map(|user| Customer::new(&stage, user, random.next())).collect();
    let gate = Gate::default();
    let mut settled = Vec::new();
    thread::scope(|scope| {
        for customer in &customers {
            scope.spawn(|| gate.live(|| customer.act()));
        }
        gate.until_done(|| {
            for (round, steps) in steps.chunks(ROUND).enumerate() {
                for step in steps {
                    happen(&mut stage, step, &gate, started);
                    check::always(&mut stage);
                }
                settled.push(gate.at_rest(|| check::at_rest(&mut stage, &customers)));
                let done = (round * ROUND + steps.len()).min(faults);
                progress(done, faults, &customers, settled.last().copied().unwrap_or_default(), started);
            }
        });
    });
    let mut counted: BTreeMap<&'static str, usize> = BTreeMap::new();
    for step in &steps {
        *counted.entry(step.fault.name()).or_default() += 1;
    }
    let mut requests: BTreeMap<&'static str, usize> = BTreeMap::new();
    for (kind, count) in customers.iter().flat_map(Customer::requests) {
        *requests.entry(kind).or_default() += count;
    }
    let networks = customers.iter().map(|customer| customer.kept().len()).sum();
    Outcome { took: started.elapsed(), faults: counted, requests, settled, jobs: stage.jobs(), networks }
}

fn happen(stage: &mut Stage<'_>, step: &Step, gate: &Gate, started: Instant) {
    thread::sleep(step.wait);
    gate.nobody_has_failed();
    let at = started.elapsed().as_secs_f64();
    let before = Instant::now();
    stage.inflict(step.fault);
    eprintln!("{at:7.1} s  {:?}, {} ms", step.fault, before.elapsed().as_millis());
}

fn progress(done: usize, faults: usize, customers: &[Customer], settled: Duration, started: Instant) {
    let requests: usize = customers.iter().flat_map(Customer::requests).map(|(_, count)| count).sum();
    let networks: usize = customers.iter().map(|customer| customer.kept().len()).sum();
    eprintln!(
        "== {done}/{faults} faults, {requests} requests, {networks} networks: hosts and database are one after \
         {settled:.1?} (total {:.0?})",
        started.elapsed()
    );
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::KillWorker(_) => "worker killed",
            Self::KillServer(_) => "server and its relay killed",
            Self::EmptyRedis => "Redis emptied",
            Self::StopRedis(_) => "Redis gone for a moment",
            Self::CrashPostgres => "PostgreSQL crashed",
            Self::CutPostgres => "all sessions of PostgreSQL cut",
            Self::DeleteInterface(_) => "interface deleted",
            Self::AddPeer(_) => "peer added by hand",
            Self::RemoveAddress(_) => "address removed by hand",
            Self::FreezeWorker(_) => "worker frozen past its lease",
            Self::SecondWorker(_) => "second worker of the same host",
        }
    }
}

#[cfg(test)]
mod tests {
    /// A short run; `./dev soak vpn` makes long ones.
    #[test]
    fn twenty_faults_leave_hosts_and_database_equal() {
        crate::world::run(1, |world| {
            let outcome = super::run(world, 20, 7);
            assert_eq!(outcome.faults.values().sum::<usize>(), 20, "{outcome}");
        });
    }
}
