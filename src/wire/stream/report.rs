//! What a worker says of itself: who it is, what it does, how far its jobs are. News only: what gets lost is replaced.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use redis::{RedisError, aio::ConnectionManager};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    StreamConfig,
    connection::reconnecting,
    event::{DeliveryId, Outcome, Progress},
    lease::{LeasedJob, Leases},
    slots::Slots,
};
use crate::job::JobId;

/// Between two reports when nothing is asked.
const PERIOD: Duration = Duration::from_secs(5);
/// Between two reports of progress.
const PROGRESS_PERIOD: Duration = Duration::from_millis(250);
/// Reports kept in Redis, for a server that is away.
const KEPT: usize = 1000;
/// Revoked jobs that are remembered, should they come yet.
const REMEMBERED: usize = 1000;

/// A worker, as it says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerReport {
    /// Made at the process' start.
    pub instance: String,
    /// The name it was started with.
    pub name: String,
    /// The program's.
    pub version: String,
    /// Jobs at the same time.
    pub concurrency: u16,
    /// The jobs that it holds.
    pub active: Vec<ActiveJob>,
    /// The kinds that it knows.
    pub kinds: Vec<String>,
    /// By the host's clock.
    pub started_at: DateTime<Utc>,
    /// Jobs since then.
    pub succeeded: u64,
    /// Attempts since then.
    pub failed: u64,
    /// Jobs that another worker took over while this one had them, since then.
    pub leases_lost: u64,
    /// Memory.
    pub rss_bytes: u64,
    /// It ends.
    pub stopped: bool,
}

/// A job that a worker holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActiveJob {
    /// The row.
    pub job: JobId,
    /// What it does.
    pub kind: String,
    /// Seconds since it came.
    pub secs: u64,
}

/// What the tasks of one worker share.
pub(super) struct State {
    pub instance: String,
    pub leases: Leases,
    pub slots: Slots,
    /// Rings when there is something to report.
    pub news: Arc<Notify>,
    asked: AtomicBool,
    started_at: DateTime<Utc>,
    succeeded: AtomicU64,
    failed: AtomicU64,
    leases_lost: AtomicU64,
    revoked: Mutex<VecDeque<(JobId, i64)>>,
}

impl State {
    pub(super) fn new(slots: usize) -> Self {
        let mut bytes = [0; 8];
        // Without random numbers two workers of one name would show as one.
        let _ = SystemRandom::new().fill(&mut bytes);
        #[expect(clippy::disallowed_methods, reason = "for people, and no decision hangs on it")]
        let started_at = Utc::now();
        Self {
            instance: format!("{:016x}", u64::from_be_bytes(bytes)),
            leases: Leases::default(),
            slots: Slots::new(slots),
            news: Arc::default(),
            asked: AtomicBool::new(true),
            started_at,
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            leases_lost: AtomicU64::new(0),
            revoked: Mutex::default(),
        }
    }

    pub(super) fn count(&self, outcome: Outcome) {
        match outcome {
            Outcome::Succeeded => self.succeeded.fetch_add(1, Ordering::Relaxed),
            Outcome::Retry | Outcome::Failed => self.failed.fetch_add(1, Ordering::Relaxed),
            Outcome::Running | Outcome::Snooze | Outcome::Revoked => 0,
        };
    }

    pub(super) fn count_lost(&self, leases: usize) {
        self.leases_lost.fetch_add(leases as u64, Ordering::Relaxed);
    }

    pub(super) fn report_now(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.news.notify_one();
    }

    /// Ends that dispatch, or remembers it for when it comes.
    pub(super) fn revoke(&self, job_id: JobId, fence: i64) {
        if self.leases.revoke(job_id, fence) {
            return;
        }
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        if !revoked.contains(&(job_id, fence)) {
            revoked.push_back((job_id, fence));
            if revoked.len() > REMEMBERED {
                revoked.pop_front();
            }
        }
    }

    pub(super) fn is_revoked(&self, job_id: JobId, fence: i64) -> bool {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner).contains(&(job_id, fence))
    }

    fn report(&self, config: &StreamConfig, stopped: bool) -> WorkerReport {
        let of = |held: &LeasedJob| ActiveJob {
            job: held.whose.job_id,
            kind: held.control.kind().to_owned(),
            secs: held.since.elapsed().as_secs(),
        };
        let active = self.leases.lock().values().map(of).collect();
        WorkerReport {
            instance: self.instance.clone(),
            name: config.worker.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            concurrency: u16::try_from(self.slots.total()).unwrap_or(u16::MAX),
            active,
            kinds: config.kinds.iter().map(ToString::to_string).collect(),
            started_at: self.started_at,
            succeeded: self.succeeded.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            leases_lost: self.leases_lost.load(Ordering::Relaxed),
            rss_bytes: rss_bytes().unwrap_or_default(),
            stopped,
        }
    }

    fn progress(&self) -> Vec<(DeliveryId, Progress)> {
        let leases = self.leases.lock();
        leases.values().filter_map(|held| Some((held.whose, held.control.take_progress()?))).collect()
    }
}

/// Resident memory, by proc(5).
fn rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Reports for ever.
pub(super) async fn run(config: Arc<StreamConfig>, state: Arc<State>) {
    let mut connection = None;
    let mut next = Instant::now();
    loop {
        tokio::select! {
            () = sleep_until(next) => {}
            () = state.news.notified() => {}
        }
        let whole = state.asked.swap(false, Ordering::Relaxed) || Instant::now() >= next;
        if whole {
            next = Instant::now() + PERIOD;
        }
        let report = whole.then(|| state.report(&config, false));
        if let Err(error) = send(&config, &mut connection, report, state.progress()).await {
            tracing::debug!(queue = %config.queue, %error, "could not report to the server; trying again");
        }
        tokio::time::sleep(PROGRESS_PERIOD).await;
    }
}

/// The last report.
pub(super) async fn say_goodbye(config: &StreamConfig, state: &State) {
    // Who does not hear it will notice the silence.
    let _ = send(config, &mut None, Some(state.report(config, true)), state.progress()).await;
}

async fn send(
    config: &StreamConfig,
    connection: &mut Option<ConnectionManager>,
    report: Option<WorkerReport>,
    progress: Vec<(DeliveryId, Progress)>,
) -> Result<(), RedisError> {
    if report.is_none() && progress.is_empty() {
        return Ok(());
    }
    let key = config.queue.reports_key();
    let mut pipe = redis::pipe();
    let mut add = |fields: &[(&str, String)]| {
        pipe.cmd("XADD").arg(&key).arg("MAXLEN").arg("~").arg(KEPT).arg("*");
        for (name, value) in fields {
            pipe.arg(name).arg(value);
        }
        pipe.ignore();
    };
    if let Some(text) = report.and_then(|report| serde_json::to_string(&report).ok()) {
        add(&[("worker", text)]);
    }
    for (DeliveryId { job_id, fence, deliveries }, progress) in progress {
        let Ok(text) = serde_json::to_string(&progress) else { continue };
        let (job, fence, delivery) = (job_id.to_string(), fence.to_string(), deliveries.to_string());
        add(&[("progress", text), ("job", job), ("fence", fence), ("delivery", delivery)]);
    }
    let connection = match connection {
        Some(connection) => connection,
        empty => empty.insert(reconnecting(&config.redis)?),
    };
    pipe.query_async(connection).await
}
