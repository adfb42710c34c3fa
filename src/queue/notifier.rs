//! Wakes waiting tasks, so that no task polls: the relay for available jobs, long polls for finished ones.
//!
//! Within a process in memory; between processes by PostgreSQL's `NOTIFY`, sent outside of the busy transactions
//! (inside, it costs more than three times the insert).

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{PgExecutor, PgPool, postgres::PgListener};
use tokio::sync::{Notify, broadcast, watch};
use uncloud_wire::{JobId, QueueName};

/// Channel: a job was enqueued by a process without a relay.
const QUEUED: &str = "uncloud_job_queued";
/// Channel: schedules were created or changed.
const SCHEDULES: &str = "uncloud_schedule";
/// Channel: staff changed jobs, queues or workers.
const CONTROL: &str = "uncloud_job_control";
/// Channel: jobs reached a final state; the payload lists them, or is empty if they were too many.
const FINISHED: &str = "uncloud_job_finished";
/// The longest payload that is sent; PostgreSQL accepts less than 8000 bytes in a notification.
const MAX_PAYLOAD: usize = 7900;

/// The notifier that the relay and long polls wait for.
pub struct Notifier {
    queued: Notify,
    /// By announcement only, not with each job of a worker: the servers' own jobs come from schedules and from staff.
    server_jobs: Notify,
    schedules: Notify,
    control: Notify,
    finished: broadcast::Sender<Finished>,
    /// The queues from which reports are expected; only grows.
    queues: watch::Sender<BTreeSet<QueueName>>,
    ending: AtomicBool,
}

/// The jobs that have finished.
#[derive(Debug, Clone)]
pub(super) enum Finished {
    /// Only this job.
    Job(JobId),
    /// Some jobs, without their ids: check again.
    Unknown,
}

impl Default for Notifier {
    fn default() -> Self {
        Self {
            queued: Notify::new(),
            server_jobs: Notify::new(),
            schedules: Notify::new(),
            control: Notify::new(),
            finished: broadcast::channel(1024).0,
            queues: watch::channel(BTreeSet::new()).0,
            ending: AtomicBool::new(false),
        }
    }
}

impl Notifier {
    /// Wakes the relay, because jobs may be available. Call it after the commit.
    pub fn queued(&self) {
        self.queued.notify_one();
    }

    pub(super) async fn wait_for_queued(&self) {
        self.queued.notified().await;
    }

    pub(super) async fn wait_for_server_jobs(&self) {
        self.server_jobs.notified().await;
    }

    /// Returns when schedules were created or changed, in any process.
    pub async fn wait_for_schedules(&self) {
        self.schedules.notified().await;
    }

    pub(super) async fn wait_for_control(&self) {
        self.control.notified().await;
    }

    /// Makes the events consumer listen to these queues too. Call it before pushing to them.
    pub(super) fn expect_events_of(&self, queues: &BTreeSet<QueueName>) {
        self.queues.send_if_modified(|known| {
            let before = known.len();
            known.extend(queues.iter().cloned());
            known.len() > before
        });
    }

    pub(super) fn queues(&self) -> watch::Receiver<BTreeSet<QueueName>> {
        self.queues.subscribe()
    }

    fn finished(&self, finished: Finished) {
        // It is fine if nothing listens.
        let _ = self.finished.send(finished);
    }

    /// Ends all waits because the server shuts down: long polls return the current state at once, and clients that
    /// still wait send their requests to the next server.
    pub(super) fn end_waits(&self) {
        self.ending.store(true, Ordering::SeqCst);
        self.finished(Finished::Unknown);
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// Wakes all tasks, because notifications may have been missed.
    fn missed(&self) {
        self.queued.notify_one();
        self.server_jobs.notify_one();
        self.schedules.notify_one();
        self.finished(Finished::Unknown);
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Finished> {
        self.finished.subscribe()
    }
}

/// Announces to this process and all others that these jobs have finished.
pub(super) async fn announce_finished(pool: &PgPool, wake: &Notifier, jobs: &[JobId]) -> sqlx::Result<()> {
    for job in jobs {
        wake.finished(Finished::Job(*job));
    }
    let list = jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let payload = if list.len() > MAX_PAYLOAD { String::new() } else { list };
    notify(pool, FINISHED, &payload).await
}

/// Announces to the relays of other processes that jobs were queued.
pub(super) async fn announce_queued(executor: impl PgExecutor<'_>) -> sqlx::Result<()> {
    notify(executor, QUEUED, "").await
}

/// Announces to all servers, including this one, that schedules were created or changed. Call it after the commit.
pub async fn announce_schedules(executor: impl PgExecutor<'_>) -> sqlx::Result<()> {
    notify(executor, SCHEDULES, "").await
}

/// Announces to the servers that staff changed jobs, queues or workers.
pub(super) async fn announce_control(executor: impl PgExecutor<'_>) -> sqlx::Result<()> {
    notify(executor, CONTROL, "").await
}

async fn notify(executor: impl PgExecutor<'_>, channel: &str, payload: &str) -> sqlx::Result<()> {
    sqlx::query!("select pg_notify($1, $2)", channel, payload).execute(executor).await.map(drop)
}

/// Forwards the announcements of other processes, forever.
pub async fn listen(pool: PgPool, wake: Arc<Notifier>) {
    loop {
        if let Err(error) = forward(&pool, &wake).await {
            tracing::warn!(%error, "listening for other processes' jobs was interrupted; retrying");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn forward(pool: &PgPool, wake: &Notifier) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen_all([QUEUED, SCHEDULES, CONTROL, FINISHED]).await?;
    // Announcements may have been missed while this task did not listen.
    wake.missed();
    loop {
        // `None`: the connection was lost and is back, with notifications missed in between.
        match listener.try_recv().await? {
            Some(notification) if notification.channel() == FINISHED && !notification.payload().is_empty() => {
                for job in notification.payload().split(',').filter_map(|id| id.parse().ok()) {
                    wake.finished(Finished::Job(job));
                }
            }
            Some(notification) if notification.channel() == QUEUED => {
                wake.queued();
                wake.server_jobs.notify_one();
            }
            Some(notification) if notification.channel() == SCHEDULES => wake.schedules.notify_one(),
            Some(notification) if notification.channel() == CONTROL => wake.control.notify_one(),
            _ => wake.missed(),
        }
    }
}
