//! Somebody who wants all sorts of jobs done, and remembers what was promised.

use std::{
    sync::{Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tokio::runtime::Handle;
use uncloud::queue::{self, After, NewJob};
use uncloud_wire::JobId;

use super::SETTLES;
use crate::{
    actor::Act,
    random::Random,
    stage::{Stage, queue_name, with},
};

/// How a job has to end, unless it was revoked or its workers died again and again.
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

/// What makes a job special, besides what it does.
#[derive(Default)]
struct Wishes {
    unique_key: Option<String>,
    serial_key: Option<String>,
    run_at: Option<DateTime<Utc>>,
    parents: Vec<JobId>,
}

impl Customer {
    pub(super) fn new(stage: &Stage, name: usize, seed: u64) -> Self {
        let (runtime, pool) = (stage.runtime.handle().clone(), stage.pool.clone());
        Self { runtime, pool, name, random: Mutex::new(Random(seed)), promised: Mutex::default() }
    }

    pub(super) fn promised(&self) -> Vec<(JobId, Ending)> {
        self.promises().clone()
    }

    fn promises(&self) -> MutexGuard<'_, Vec<(JobId, Ending)>> {
        self.promised.lock().expect("no panic")
    }

    /// Asks for one job.
    pub(super) fn act(&self) {
        let random = &mut self.random.lock().expect("no panic");
        let millis = random.next() % 200;
        let sleep = Act::Sleep { millis };
        let mut wishes = Wishes::default();
        let (act, ending) = match random.below(16) {
            0 => (Act::FailFirst { times: 1 + random.below(2) }, Ending::Succeeds),
            1 => (Act::SnoozeFirst { millis: 50 + millis }, Ending::Succeeds),
            2 => (Act::Fail { error: "as it was to".into() }, Ending::Fails),
            3 => (Act::Panic, Ending::Fails),
            4 => (Act::Big { bytes: 1000 * (100 + random.below(1000)) }, Ending::Succeeds),
            5 => (Act::Block { millis }, Ending::Succeeds),
            6..=7 => {
                wishes.unique_key = Some(format!("unique-{}", random.below(3)));
                (sleep, Ending::Succeeds)
            }
            8..=9 => {
                wishes.serial_key = Some(format!("serial-{}", random.below(3)));
                (sleep, Ending::Succeeds)
            }
            10..=11 => {
                let known: Vec<JobId> = self.promises().iter().rev().take(8).map(|(job, _)| *job).collect();
                wishes.parents = known.into_iter().filter(|_| random.below(3) == 0).collect();
                (sleep, Ending::Follows)
            }
            12 => {
                #[expect(clippy::disallowed_methods, reason = "all processes here have this machine's clock")]
                let now = Utc::now();
                wishes.run_at = Some(now + TimeDelta::milliseconds(random.below(2000).try_into().expect("small")));
                (sleep, Ending::Succeeds)
            }
            _ => (sleep, Ending::Succeeds),
        };
        let job = self.insist(&act, &wishes);
        self.promises().push((job, ending));
        thread::sleep(random.millis(0, 40));
    }

    /// Asks until there is an answer. A job of its own carries a token, by which it is found when the answer got lost.
    fn insist(&self, act: &Act, wishes: &Wishes) -> JobId {
        let token = format!("{}-{}", self.name, self.promises().len());
        let queue = queue_name();
        let job = with(act, &queue, |job| {
            if wishes.unique_key.is_none() {
                job.payload["token"] = token.as_str().into();
            }
            job.unique_key = wishes.unique_key.as_deref();
            job.serial_key = wishes.serial_key.as_deref();
            job.run_at = wishes.run_at;
            job.after = After::Success(&wishes.parents);
            job.policy.priority = i16::try_from(token.len() % 10).expect("small");
        });
        let started = Instant::now();
        loop {
            match self.runtime.block_on(ask(&self.pool, &job, &token)) {
                Ok(job) => return job,
                Err(error) => assert!(started.elapsed() < SETTLES, "{error}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

async fn ask(pool: &PgPool, job: &NewJob<'_>, token: &str) -> sqlx::Result<JobId> {
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
