//! Faults at random, for as long as somebody wants, while customers ask for jobs of all sorts.
//!
//! From a seed follow the faults, their order and parameters, and every customer's decisions; how processes interleave
//! does not. Every few faults all hold still: then every job has to be what was promised, and Redis empty.

mod cast;
mod check;
mod customer;
mod plan;

use std::{
    collections::BTreeMap,
    fmt, thread,
    time::{Duration, Instant},
};

use self::{
    cast::Cast,
    customer::Customer,
    plan::{Step, plan},
};
use crate::{gate::Gate, random::Random};

/// Faults between two moments of rest.
const ROUND: usize = 20;
/// Nothing has to take longer to come to rest: three deaths of workers are over before, each with its lease.
const SETTLES: Duration = Duration::from_mins(1);
const CUSTOMERS: usize = 3;

/// What a run came to.
pub(crate) struct Outcome {
    took: Duration,
    /// By kind.
    faults: BTreeMap<&'static str, usize>,
    /// By last state.
    jobs: BTreeMap<String, i64>,
    /// How long coming to rest took, each time.
    settled: Vec<Duration>,
    /// Workers that died of a job.
    deaths: usize,
    /// Jobs that were given up because three workers died.
    given_up: usize,
    /// Runs that were begun a second time, because whoever had begun was killed or frozen.
    again: i64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { took, faults, jobs, settled, deaths, given_up, again } = self;
        let longest = settled.iter().max().copied().unwrap_or(Duration::ZERO);
        let count: usize = faults.values().sum();
        writeln!(f, "{count} faults in {took:.0?}: every job is what was promised, none is lost")?;
        writeln!(f, "came to rest {} times, within {longest:.1?}", settled.len())?;
        writeln!(f, "{deaths} workers died of a job, {given_up} jobs given up for it, {again} runs begun again")?;
        write!(f, "faults {faults:?}\njobs   {jobs:?}")
    }
}

/// Runs so many faults; panics with what was wrong.
pub(crate) fn run(faults: usize, seed: u64) -> Outcome {
    let started = Instant::now();
    let mut random = Random(seed);
    let steps = plan(&mut random, faults);
    let mut cast = Cast::start();
    let customers: Vec<Customer> = (0..CUSTOMERS).map(|name| Customer::new(&cast.stage, name, random.next())).collect();
    let gate = Gate::default();
    let mut settled = Vec::new();
    thread::scope(|scope| {
        for customer in &customers {
            scope.spawn(|| gate.live(|| customer.act()));
        }
        gate.until_done(|| {
            for (round, steps) in steps.chunks(ROUND).enumerate() {
                for step in steps {
                    happen(&mut cast, step, &gate, started);
                }
                settled.push(gate.at_rest(|| check::at_rest(&mut cast, &customers)));
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
    let jobs = cast.stage.rows::<(String, i64)>("select state, count(*) from job group by state").into_iter().collect();
    let (given_up, again) = check::prices(&cast);
    Outcome { took: started.elapsed(), faults: counted, jobs, settled, deaths: cast.deaths, given_up, again }
}

fn happen(cast: &mut Cast, step: &Step, gate: &Gate, started: Instant) {
    cast.sleep(step.wait);
    gate.nobody_has_failed();
    let at = started.elapsed().as_secs_f64();
    let before = Instant::now();
    cast.inflict(step.fault);
    eprintln!("{at:7.1} s  {:?}, {} ms", step.fault, before.elapsed().as_millis());
}

#[cfg(test)]
mod tests {
    /// A short run; `./dev soak runner` makes long ones.
    #[test]
    fn forty_faults_lose_no_job() {
        let outcome = super::run(40, 3);
        assert_eq!(outcome.faults.values().sum::<usize>(), 40, "{outcome}");
        eprintln!("{outcome}");
    }
}
