//! Stores the outcomes of jobs: one transaction per batch writes the events and removes the entries.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use apalis_core::{error::BoxDynError, task::Task};
use futures_util::future::BoxFuture;
use redis::Pipeline;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tower::{Layer, Service};

use super::{
    config::{GROUP, StreamConfig},
    connection::reconnecting,
    envelope::Envelope,
    event::{DeliveryId, Outcome, clean},
    lease::Lease,
    report::State,
};
use crate::job::{JobError, millis};

/// The largest number of events that one transaction stores.
const BATCH: usize = 256;

/// An event, with the entry that it settles.
pub(super) struct Ack {
    entry: String,
    pub(super) delivery_id: Option<DeliveryId>,
    pub(super) outcome: Outcome,
    pub(super) body: String,
    worker: String,
    /// The handler's run time.
    took: Option<Duration>,
    /// The wait before the next attempt of a snoozed job.
    after: Option<Duration>,
    stored: Option<oneshot::Sender<()>>,
}

impl Ack {
    /// Creates the acknowledgement of an entry that never reaches a handler. Without a readable job no event is
    /// written: the entry is only removed.
    pub(super) fn refusal(entry: String, delivery_id: Option<DeliveryId>, outcome: Outcome, body: String) -> Self {
        Self { entry, delivery_id, outcome, body, worker: String::new(), took: None, after: None, stored: None }
    }

    pub(super) fn running(entry: String, delivery_id: DeliveryId, worker: &str) -> Self {
        let running = Self::refusal(entry, Some(delivery_id), Outcome::Running, String::new());
        Self { worker: worker.to_owned(), ..running }
    }

    pub(super) fn add_event(&self, pipe: &mut Pipeline, events_key: &str) {
        let Some(id) = self.delivery_id else { return };
        pipe.cmd("XADD").arg(events_key).arg("*").arg("job").arg(id.job_id).arg("fence").arg(id.fence);
        if id.deliveries > 1 {
            pipe.arg("delivery").arg(id.deliveries);
        }
        pipe.arg("outcome").arg(self.outcome.as_str()).arg("body").arg(&self.body).arg("worker").arg(&self.worker);
        for (name, time) in [("took", self.took), ("after", self.after)] {
            if let Some(time) = time {
                pipe.arg(name).arg(millis(time));
            }
        }
        pipe.ignore();
    }
}

/// Stores acknowledgements until the last sender is gone, however long Redis is unavailable.
pub(super) async fn run(config: Arc<StreamConfig>, mut acks: mpsc::UnboundedReceiver<Ack>) {
    let (jobs_key, events_key) = (config.queue.jobs_key(), config.queue.events_key());
    let mut batch = Vec::with_capacity(BATCH);
    let mut connection = None;
    while acks.recv_many(&mut batch, BATCH).await > 0 {
        let mut pipe = redis::pipe();
        pipe.atomic();
        for ack in &batch {
            ack.add_event(&mut pipe, &events_key);
        }
        let entries: Vec<&str> = batch.iter().map(|ack| ack.entry.as_str()).collect();
        pipe.cmd("XACK").arg(&jobs_key).arg(GROUP).arg(&entries).ignore();
        pipe.cmd("XDEL").arg(&jobs_key).arg(&entries).ignore();
        let mut backoff = Duration::from_millis(50);
        loop {
            let result = match &mut connection {
                Some(connection) => pipe.query_async::<()>(connection).await,
                empty => match reconnecting(&config.redis) {
                    Ok(new) => pipe.query_async::<()>(empty.insert(new)).await,
                    Err(error) => Err(error),
                },
            };
            match result {
                Ok(()) => break,
                // A repeated transaction adds the event twice; the first result wins.
                Err(error) => {
                    tracing::warn!(queue = %config.queue, %error, retry_in = ?backoff, "could not report finished jobs to Redis");
                }
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(Duration::from_secs(2));
        }
        for stored in batch.drain(..).filter_map(|ack| ack.stored) {
            let _ = stored.send(());
        }
    }
}

/// A layer that acknowledges jobs; it encloses all other layers, including timeouts and panics.
#[derive(Clone)]
pub struct AckLayer {
    acks: mpsc::UnboundedSender<Ack>,
    worker: Arc<str>,
    state: Arc<State>,
}

impl AckLayer {
    pub(super) fn new(acks: mpsc::UnboundedSender<Ack>, worker: String, state: Arc<State>) -> Self {
        Self { acks, worker: worker.into(), state }
    }
}

impl<S> Layer<S> for AckLayer {
    type Service = AckService<S>;

    fn layer(&self, inner: S) -> AckService<S> {
        AckService { inner, layer: self.clone() }
    }
}

/// The service of [`AckLayer`].
#[derive(Clone)]
pub struct AckService<S> {
    inner: S,
    layer: AckLayer,
}

impl<S> Service<Task<Envelope>> for AckService<S>
where
    S: Service<Task<Envelope>>,
    S::Response: Serialize + Send + 'static,
    S::Error: Into<BoxDynError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<S::Response, BoxDynError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Envelope>) -> Self::Future {
        let lease = task.data().get::<Lease>().cloned();
        let layer = self.layer.clone();
        if let Some(lease) = &lease {
            lease.start();
        }
        let started = Instant::now();
        let work = self.inner.call(task);
        Box::pin(async move {
            let result = work.await.map_err(Into::into);
            let Some(lease) = lease else { return result };
            let took = started.elapsed();
            lease.free_slot();
            let (outcome, body, after) = match &result {
                Ok(response) => succeeded(response),
                Err(error) => failed(error),
            };
            layer.state.count(outcome);
            let (stored, wait) = oneshot::channel();
            let ack = Ack {
                entry: lease.entry().to_owned(),
                delivery_id: Some(lease.delivered()),
                outcome,
                body,
                worker: layer.worker.to_string(),
                took: Some(took),
                after,
                stored: Some(stored),
            };
            // The job counts as running until its event is stored: a graceful stop waits for that, and the lease covers
            // it.
            if layer.acks.send(ack).is_ok() {
                let _ = wait.await;
            }
            drop(lease);
            result
        })
    }
}

type AttemptReport = (Outcome, String, Option<Duration>);

fn succeeded(response: &impl Serialize) -> AttemptReport {
    match serde_json::to_string(response) {
        Ok(body) => (Outcome::Succeeded, body, None),
        Err(error) => (Outcome::Failed, format!("its result could not be written as JSON: {error}"), None),
    }
}

/// Returns the report of a failed attempt. Only [`JobError`] determines the outcome; all other errors (such as a panic)
/// are retried.
fn failed(error: &BoxDynError) -> AttemptReport {
    match error.downcast_ref::<JobError>() {
        Some(JobError::Fail(message)) => (Outcome::Failed, clean(message), None),
        Some(JobError::Retry(message)) => (Outcome::Retry, clean(message), None),
        Some(JobError::Snooze { after, reason }) => (Outcome::Snooze, clean(reason), Some(*after)),
        Some(revoked @ JobError::Revoked) => (Outcome::Revoked, revoked.to_string(), None),
        None => (Outcome::Retry, clean(&error.to_string()), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_with_a_job_error_reports_its_outcome() {
        let (retry, fail): (BoxDynError, BoxDynError) =
            (JobError::Retry("later".into()).into(), JobError::Fail("never".into()).into());
        assert_eq!(failed(&retry), (Outcome::Retry, "later".to_owned(), None));
        assert_eq!(failed(&fail), (Outcome::Failed, "never".to_owned(), None));
        assert_eq!(failed(&"panicked".into()), (Outcome::Retry, "panicked".to_owned(), None));
        let after = Duration::from_secs(3);
        let snooze: BoxDynError = JobError::Snooze { after, reason: "busy".into() }.into();
        assert_eq!(failed(&snooze), (Outcome::Snooze, "busy".to_owned(), Some(after)));
    }
}
