//! Random faults in servers, hosts, Redis and PostgreSQL, while customers create networks, change keys and delete.
//!
//! Every few faults all customers wait: then hosts, database and what the customers were promised must be equal.

mod check;
mod cluster;
mod customer;
mod plan;

use std::{
    collections::BTreeMap,
    fmt, thread,
    time::{Duration, Instant},
};

use self::{
    cluster::{Cluster, USERS},
    customer::Customer,
    plan::{Fault, Step, plan},
};
use super::gate::Gate;
use crate::{random::Random, world::World};

/// Faults between two moments of rest.
const ROUND: usize = 20;

/// The result of a run, printed by [`fmt::Display`].
#[derive(Debug)]
pub struct Outcome {
    took: Duration,
    /// By kind.
    faults: BTreeMap<&'static str, usize>,
    /// Requests, by kind.
    requests: BTreeMap<&'static str, usize>,
    /// The time that coming to rest took, each time.
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
        let count = self.faults();
        writeln!(f, "{count} faults in {took:.0?}: hosts equal the database, nothing allocated twice")?;
        writeln!(f, "came to rest {} times, within {longest:.1?}; {networks} networks in the end", settled.len())?;
        write!(f, "faults   {faults:?}\nrequests {requests:?}\njobs     {jobs:?}")
    }
}

impl Outcome {
    /// Returns how many faults there were.
    pub fn faults(&self) -> usize {
        self.faults.values().sum()
    }
}

/// Inflicts so many faults in a world with one client, which is the second VPN host; panics when anything is not as
/// promised.
pub fn run(world: &World, faults: usize, seed: u64) -> Outcome {
    let started = Instant::now();
    let mut random = Random::new(seed);
    let steps = plan(&mut random, faults);
    let mut cluster = Cluster::start(world);
    let customers: Vec<Customer> = USERS.iter().map(|user| Customer::new(&cluster, user, random.next())).collect();
    let gate = Gate::default();
    let mut settled = Vec::new();
    thread::scope(|scope| {
        for customer in &customers {
            scope.spawn(|| gate.live(|| customer.act()));
        }
        gate.until_done(|| {
            for (round, steps) in steps.chunks(ROUND).enumerate() {
                for step in steps {
                    happen(&mut cluster, step, &gate, started);
                    check::always(&mut cluster);
                }
                settled.push(gate.at_rest(|| check::at_rest(&mut cluster, &customers)));
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
    Outcome { took: started.elapsed(), faults: counted, requests, settled, jobs: cluster.jobs(), networks }
}

fn happen(cluster: &mut Cluster<'_>, step: &Step, gate: &Gate, started: Instant) {
    thread::sleep(step.wait);
    gate.nobody_has_failed();
    let at = started.elapsed().as_secs_f64();
    let before = Instant::now();
    cluster.inflict(step.fault);
    eprintln!("{at:7.1} s  {:?}, {} ms", step.fault, before.elapsed().as_millis());
}

fn progress(done: usize, faults: usize, customers: &[Customer], settled: Duration, started: Instant) {
    let requests: usize = customers.iter().flat_map(Customer::requests).map(|(_, count)| count).sum();
    let networks: usize = customers.iter().map(|customer| customer.kept().len()).sum();
    eprintln!(
        "== {done}/{faults} faults, {requests} requests, {networks} networks: hosts and database are equal after \
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
            Self::AddPeer(_) => "peer added manually",
            Self::RemoveAddress(_) => "address removed manually",
            Self::FreezeWorker(_) => "worker frozen past its lease",
            Self::SecondWorker(_) => "second worker of the same host",
        }
    }
}
