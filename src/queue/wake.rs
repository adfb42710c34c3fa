//! Waking those who wait, so that nobody polls: the relay for due jobs, long polls for finished ones.
//!
//! Inside a process by memory; between processes by Postgres `NOTIFY`, sent outside of the busy transactions
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
/// Channel: schedules were made or changed.
const SCHEDULES: &str = "uncloud_schedule";
/// Channel: staff want something of jobs, queues or workers.
const CONTROL: &str = "uncloud_job_control";
/// Channel: jobs reached a final state; the payload lists them, or is empty when they were too many.
const FINISHED: &str = "uncloud_job_finished";
/// Postgres takes less than 8000 bytes in a notification.
const MAX_PAYLOAD: usize = 7900;

/// The bell that relay and long polls wait for.
pub struct Wake {
    queued: Notify,
    /// By announcement only, not with each job of a worker: the desk's come from schedules and from staff.
    desk: Notify,
    schedules: Notify,
    control: Notify,
    finished: broadcast::Sender<Finished>,
    /// Queues from which reports are expected; only grows.
    queues: watch::Sender<BTreeSet<QueueName>>,
    ending: AtomicBool,
}

/// Which jobs have finished.
#[derive(Debug, Clone)]
pub(super) enum Finished {
    /// Just this one.
    Job(JobId),
    /// Some, unknown which: look again.
    Unknown,
}

impl Default for Wake {
    fn default() -> Self {
        Self {
            queued: Notify::new(),
            desk: Notify::new(),
            schedules: Notify::new(),
            control: Notify::new(),
            finished: broadcast::channel(1024).0,
            queues: watch::channel(BTreeSet::new()).0,
            ending: AtomicBool::new(false),
        }
    }
}

impl Wake {
    /// There may be due jobs. Call it after the commit.
    pub fn queued(&self) {
        self.queued.notify_one();
    }

    pub(super) async fn wait_for_queued(&self) {
        self.queued.notified().await;
    }

    pub(super) async fn wait_for_desk(&self) {
        self.desk.notified().await;
    }

    /// Ends when schedules were made or changed, in whatever process.
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
        // Nobody listening is fine.
        let _ = self.finished.send(finished);
    }

    /// The server is to end: long polls answer at once with what there is, and whoever waits on asks the next server.
    pub(super) fn end_waits(&self) {
        self.ending.store(true, Ordering::SeqCst);
        self.finished(Finished::Unknown);
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// Who knows what: everybody looks again.
    fn missed(&self) {
        self.queued.notify_one();
        self.desk.notify_one();
        self.schedules.notify_one();
        self.finished(Finished::Unknown);
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Finished> {
        self.finished.subscribe()
    }
}

/// Tells this process and all others that these jobs have finished.
pub(super) async fn announce_finished(pool: &PgPool, wake: &Wake, jobs: &[JobId]) -> sqlx::Result<()> {
    for job in jobs {
        wake.finished(Finished::Job(*job));
    }
    let list = jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let payload = if list.len() > MAX_PAYLOAD { String::new() } else { list };
    notify(pool, FINISHED, &payload).await
}

/// Tells the relays of other processes that there is work.
pub(super) async fn announce_queued(executor: impl PgExecutor<'_>) -> sqlx::Result<()> {
    notify(executor, QUEUED, "").await
}

/// Tells all servers, this one too, that schedules were made or changed. Call it after the commit.
pub async fn announce_schedules(executor: impl PgExecutor<'_>) -> sqlx::Result<()> {
    notify(executor, SCHEDULES, "").await
}

/// Tells the servers that staff want something.
pub(super) async fn announce_control(executor: impl PgExecutor<'_>) -> sqlx::Result<()> {
    notify(executor, CONTROL, "").await
}

async fn notify(executor: impl PgExecutor<'_>, channel: &str, payload: &str) -> sqlx::Result<()> {
    sqlx::query!("select pg_notify($1, $2)", channel, payload).execute(executor).await.map(drop)
}

/// Passes on what other processes announce, for ever.
pub async fn listen(pool: PgPool, wake: Arc<Wake>) {
    loop {
        if let Err(error) = forward(&pool, &wake).await {
            tracing::warn!(%error, "listening for other processes' jobs was interrupted; trying again");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn forward(pool: &PgPool, wake: &Wake) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen_all([QUEUED, SCHEDULES, CONTROL, FINISHED]).await?;
    // What was announced while nobody listened.
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
                wake.desk.notify_one();
            }
            Some(notification) if notification.channel() == SCHEDULES => wake.schedules.notify_one(),
            Some(notification) if notification.channel() == CONTROL => wake.control.notify_one(),
            _ => wake.missed(),
        }
    }
}
