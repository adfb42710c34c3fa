//! A worker's reports: its identity, its jobs and their progress. Reports are news: a lost one is replaced by the next.

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
    config::StreamConfig,
    connection::reconnecting,
    event::{DeliveryId, Outcome, Progress},
    lease::{LeasedJob, Leases},
    slots::Slots,
};
use crate::job::JobId;

/// The interval between two reports, unless one is requested.
const PERIOD: Duration = Duration::from_secs(5);
/// The interval between two reports of progress.
const PROGRESS_PERIOD: Duration = Duration::from_millis(250);
/// The number of reports retained in Redis, while no server reads them.
const KEPT: usize = 1000;
/// The number of revoked jobs that are remembered, in case they arrive later.
const REMEMBERED: usize = 1000;

/// The state of a worker, as it reports it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerReport {
    /// A random id of the process, generated at its start.
    pub instance: String,
    /// The name it was started with.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// The number of jobs that run at the same time.
    pub concurrency: u16,
    /// The jobs that the worker holds.
    pub active: Vec<ActiveJob>,
    /// The kinds of jobs that the worker knows.
    pub kinds: Vec<String>,
    /// The time of the process' start, by the host's clock.
    pub started_at: DateTime<Utc>,
    /// The number of jobs completed since then.
    pub succeeded: u64,
    /// The number of failed attempts since then.
    pub failed: u64,
    /// The number of jobs that another worker took over while this one held them, since then.
    pub leases_lost: u64,
    /// The resident memory, in bytes.
    pub rss_bytes: u64,
    /// True in the last report, when the worker stops.
    pub stopped: bool,
}

/// A job that a worker holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActiveJob {
    /// The job's id.
    pub job: JobId,
    /// The kind of the job.
    pub kind: String,
    /// The seconds since the worker received it.
    pub secs: u64,
}

/// The state shared by the tasks of one worker.
pub(super) struct State {
    pub instance: String,
    pub leases: Leases,
    pub slots: Slots,
    /// Notified when a report is due.
    pub news: Arc<Notify>,
    report_requested: AtomicBool,
    started_at: DateTime<Utc>,
    succeeded: AtomicU64,
    failed: AtomicU64,
    leases_lost: AtomicU64,
    revoked: Mutex<VecDeque<(JobId, i64)>>,
}

impl State {
    pub(super) fn new(slots: usize) -> Self {
        let mut bytes = [0; 8];
        // Without random numbers, two workers of one name would appear as one.
        let _ = SystemRandom::new().fill(&mut bytes);
        #[expect(clippy::disallowed_methods, reason = "for people, and no decision hangs on it")]
        let started_at = Utc::now();
        Self {
            instance: format!("{:016x}", u64::from_be_bytes(bytes)),
            leases: Leases::default(),
            slots: Slots::new(slots),
            news: Arc::default(),
            report_requested: AtomicBool::new(true),
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
        self.report_requested.store(true, Ordering::Relaxed);
        self.news.notify_one();
    }

    /// Ends that dispatch, or remembers it in case it arrives later.
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
            job: held.delivery_id.job_id,
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
        leases.values().filter_map(|held| Some((held.delivery_id, held.control.take_progress()?))).collect()
    }
}

/// Returns the resident memory in bytes, from proc(5).
fn rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Sends reports, forever.
pub(super) async fn run(config: Arc<StreamConfig>, state: Arc<State>) {
    let mut connection = None;
    let mut next = Instant::now();
    loop {
        tokio::select! {
            () = sleep_until(next) => {}
            () = state.news.notified() => {}
        }
        let whole = state.report_requested.swap(false, Ordering::Relaxed) || Instant::now() >= next;
        if whole {
            next = Instant::now() + PERIOD;
        }
        let report = whole.then(|| state.report(&config, false));
        if let Err(error) = send(&config, &mut connection, report, state.progress()).await {
            tracing::debug!(queue = %config.queue, %error, "could not report to the server; retrying");
        }
        tokio::time::sleep(PROGRESS_PERIOD).await;
    }
}

/// Sends the last report.
pub(super) async fn say_goodbye(config: &StreamConfig, state: &State) {
    // If it gets lost, the server notices the silence.
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
