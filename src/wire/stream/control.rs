//! The control of a running job: limits, revocation, progress.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use super::{envelope::Envelope, event::Progress};
use crate::job::{JobError, JobId};

/// A handler's view of its job.
#[derive(Clone)]
pub struct JobControl(Arc<Inner>);

struct Inner {
    job_id: JobId,
    kind: String,
    soft_limit: Option<Duration>,
    hard_limit: Option<Duration>,
    started: Instant,
    revoked: watch::Sender<bool>,
    /// The latest progress that has not been reported yet.
    progress: Mutex<Option<Progress>>,
    news: Arc<Notify>,
}

impl JobControl {
    pub(super) fn new(envelope: &Envelope, news: Arc<Notify>) -> Self {
        Self(Arc::new(Inner {
            job_id: envelope.job_id,
            kind: envelope.kind.clone(),
            soft_limit: envelope.soft_limit,
            hard_limit: envelope.hard_limit,
            started: Instant::now(),
            revoked: watch::Sender::new(false),
            progress: Mutex::new(None),
            news,
        }))
    }

    /// Returns the job's id.
    pub fn job_id(&self) -> JobId {
        self.0.job_id
    }

    /// Reports the job's progress, which staff and the customer see. Cheap: of several calls in a short time only the
    /// last one is sent.
    pub fn progress(&self, done: u64, total: u64, message: impl Into<String>) {
        let progress = Progress { done, total, message: message.into() };
        *self.0.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
        self.0.news.notify_one();
    }

    /// Returns when the job's soft limit has elapsed: time to finish. Never returns without a limit.
    pub async fn soft_limit(&self) {
        match self.0.soft_limit {
            Some(limit) => sleep(limit.saturating_sub(self.0.started.elapsed())).await,
            None => std::future::pending().await,
        }
    }

    /// Runs the handler's work up to the hard limit, or until staff revoke the job. The work is then dropped where it
    /// waits, together with its child processes.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T, JobError>>) -> Result<T, JobError> {
        let mut revoked = self.0.revoked.subscribe();
        let limit = self.0.hard_limit.unwrap_or(Duration::MAX);
        tokio::select! {
            biased;
            _ = revoked.wait_for(|revoked| *revoked) => Err(JobError::Revoked),
            () = sleep(limit) => Err(JobError::Retry(format!("it ran longer than its hard limit of {limit:?} and was terminated"))),
            result = work => result,
        }
    }

    pub(super) fn revoke(&self) {
        self.0.revoked.send_replace(true);
    }

    pub(super) fn kind(&self) -> &str {
        &self.0.kind
    }

    pub(super) fn take_progress(&self) -> Option<Progress> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
