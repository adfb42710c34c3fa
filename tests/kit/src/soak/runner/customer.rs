//! A customer who enqueues all sorts of jobs, and remembers what was promised.

use std::{
    sync::{Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tokio::runtime::Handle;
use uncloud::queue::{self, DependsOn, NewJob};
use uncloud_wire::JobId;

use super::plan::SETTLES;
use crate::{
    random::Random,
    runner::{Action, Stage, new_job, queue_name},
};

/// The end that a job must have, unless it was revoked or its workers died again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Succeeds,
    Fails,
    /// As its parents did.
    Follows,
}

/// One customer.
pub(super) struct Customer {
    runtime: Handle,
    pool: PgPool,
    name: usize,
    random: Mutex<Random>,
    promised: Mutex<Vec<(JobId, Ending)>>,
}

/// Terms of a job, besides what it does.
#[derive(Default)]
struct Terms {
    unique_key: Option<String>,
    serial_key: Option<String>,
    run_at: Option<DateTime<Utc>>,
    parents: Vec<JobId>,
}

impl Customer {
    pub(super) fn new(stage: &Stage, name: usize, seed: u64) -> Self {
        let (runtime, pool) = (stage.runtime.handle().clone(), stage.pool.clone());
        Self { runtime, pool, name, random: Mutex::new(Random::new(seed)), promised: Mutex::default() }
    }

    pub(super) fn promised(&self) -> Vec<(JobId, Ending)> {
        self.promises().clone()
    }

    fn promises(&self) -> MutexGuard<'_, Vec<(JobId, Ending)>> {
        self.promised.lock().expect("no panic")
    }

    /// Enqueues one job.
    pub(super) fn act(&self) {
        let random = &mut self.random.lock().expect("no panic");
        let millis = random.next() % 200;
        let sleep = Action::Sleep { millis };
        let mut terms = Terms::default();
        let (action, ending) = match random.below(16) {
            0 => (Action::FailFirst { times: 1 + random.below(2) }, Ending::Succeeds),
            1 => (Action::SnoozeFirst { millis: 50 + millis }, Ending::Succeeds),
            2 => (Action::Fail { error: "as it was to".into() }, Ending::Fails),
            3 => (Action::Panic, Ending::Fails),
            4 => (Action::Big { bytes: 1000 * (100 + random.below(1000)) }, Ending::Succeeds),
            5 => (Action::Block { millis }, Ending::Succeeds),
            6..=7 => {
                terms.unique_key = Some(format!("unique-{}", random.below(3)));
                (sleep, Ending::Succeeds)
            }
            8..=9 => {
                terms.serial_key = Some(format!("serial-{}", random.below(3)));
                (sleep, Ending::Succeeds)
            }
            10..=11 => {
                let known: Vec<JobId> = self.promises().iter().rev().take(8).map(|(job, _)| *job).collect();
                terms.parents = known.into_iter().filter(|_| random.below(3) == 0).collect();
                (sleep, Ending::Follows)
            }
            12 => {
                #[expect(clippy::disallowed_methods, reason = "all processes here have this machine's clock")]
                let now = Utc::now();
                terms.run_at = Some(now + TimeDelta::milliseconds(random.below(2000).try_into().expect("small")));
                (sleep, Ending::Succeeds)
            }
            _ => (sleep, Ending::Succeeds),
        };
        let job = self.insist(&action, &terms);
        self.promises().push((job, ending));
        thread::sleep(random.millis(0, 40));
    }

    /// Enqueues a job, again until that succeeds. A job of its own carries a token, by which it is found when
    /// PostgreSQL's response got lost.
    fn insist(&self, action: &Action, terms: &Terms) -> JobId {
        let token = format!("{}-{}", self.name, self.promises().len());
        let queue = queue_name();
        let job = new_job(action, &queue, |job| {
            if terms.unique_key.is_none() {
                job.payload["token"] = token.as_str().into();
            }
            job.unique_key = terms.unique_key.as_deref();
            job.serial_key = terms.serial_key.as_deref();
            job.run_at = terms.run_at;
            job.after = DependsOn::Success(&terms.parents);
            job.policy.priority = i16::try_from(token.len() % 10).expect("small");
        });
        let started = Instant::now();
        loop {
            match self.runtime.block_on(enqueue(&self.pool, &job, &token)) {
                Ok(job) => return job,
                Err(error) => assert!(started.elapsed() < SETTLES, "{error}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

async fn enqueue(pool: &PgPool, job: &NewJob<'_>, token: &str) -> sqlx::Result<JobId> {
    let known = sqlx::query_scalar("select job_id from job where payload ->> 'token' = $1");
    if let Some(known) = known.bind(token).fetch_optional(pool).await? {
        return Ok(known);
    }
    let mut tx = uncloud::request_context::begin(pool).await?;
    let job_id = queue::enqueue(&mut tx, job).await?;
    tx.commit().await?;
    queue::wake_relays(pool).await?;
    Ok(job_id)
}
