//! Random faults in servers, workers, Redis and PostgreSQL, while customers enqueue jobs of all sorts.
//!
//! Every few faults all customers wait: then every job has to be what was promised, and Redis empty.

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
    cluster::Cluster,
    customer::Customer,
    plan::{Step, plan},
};
use super::gate::Gate;
use crate::random::Random;

/// Faults between two moments of rest.
const ROUND: usize = 20;
const CUSTOMERS: usize = 3;

/// The result of a run, printed by [`fmt::Display`].
#[derive(Debug)]
pub struct Outcome {
    took: Duration,
    /// By kind.
    faults: BTreeMap<&'static str, usize>,
    /// By last state.
    jobs: BTreeMap<String, i64>,
    /// The time that coming to rest took, each time.
    settled: Vec<Duration>,
    /// Workers that died of a job.
    deaths: usize,
    /// Jobs that were given up because three workers died.
    given_up: usize,
    /// Starts beyond the first of an attempt, because the worker of the first was killed or frozen.
    again: i64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { took, faults, jobs, settled, deaths, given_up, again } = self;
        let longest = settled.iter().max().copied().unwrap_or(Duration::ZERO);
        writeln!(f, "{} faults in {took:.0?}: every job is what was promised, none is lost", self.faults())?;
        writeln!(f, "came to rest {} times, within {longest:.1?}", settled.len())?;
        writeln!(f, "{deaths} workers died of a job, {given_up} jobs given up for it, {again} jobs started again")?;
        write!(f, "faults {faults:?}\njobs   {jobs:?}")
    }
}

impl Outcome {
    /// Returns how many faults there were.
    pub fn faults(&self) -> usize {
        self.faults.values().sum()
    }
}

/// Inflicts so many faults; panics when anything is not as promised.
pub fn run(faults: usize, seed: u64) -> Outcome {
    let started = Instant::now();
    let mut random = Random::new(seed);
    let steps = plan(&mut random, faults);
    let mut cluster = Cluster::start();
    let customers: Vec<Customer> =
        (0..CUSTOMERS).map(|name| Customer::new(&cluster.stage, name, random.next())).collect();
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
                }
                settled.push(gate.at_rest(|| check::at_rest(&mut cluster, &customers)));
                let done = (round * ROUND + steps.len()).min(faults);
                let jobs: usize = customers.iter().map(|customer| customer.promised().len()).sum();
                let rest = settled.last().copied().unwrap_or_default();
                let total = started.elapsed();
                eprintln!(
                    "== {done}/{faults} faults, {jobs} jobs: all as promised after {rest:.1?} (total {total:.0?})"
                );
            }
        });
    });
    let mut counted: BTreeMap<&'static str, usize> = BTreeMap::new();
    for step in &steps {
        *counted.entry(step.fault.name()).or_default() += 1;
    }
    let jobs =
        cluster.stage.rows::<(String, i64)>("select state, count(*) from job group by state").into_iter().collect();
    let (given_up, again) = check::prices(&cluster);
    Outcome { took: started.elapsed(), faults: counted, jobs, settled, deaths: cluster.deaths, given_up, again }
}

fn happen(cluster: &mut Cluster, step: &Step, gate: &Gate, started: Instant) {
    cluster.sleep(step.wait);
    gate.nobody_has_failed();
    let at = started.elapsed().as_secs_f64();
    let before = Instant::now();
    cluster.inflict(step.fault);
    eprintln!("{at:7.1} s  {:?}, {} ms", step.fault, before.elapsed().as_millis());
}
