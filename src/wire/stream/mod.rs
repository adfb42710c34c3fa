//! An apalis backend on Redis Streams: [`StreamBackend`] is the worker's source of tasks and the relay's sink.
//!
//! One consumer group per queue. A worker holds a *lease* on each entry that it reads and renews it by heartbeat; the
//! next worker claims the entries of a dead one. After a job, one transaction writes the event, acknowledges the entry
//! and deletes it, so Redis only holds unfinished work. No error of Redis ever reaches the worker: an `Err` from
//! `poll_next` would end it, so everything here reconnects forever.

mod ack;
mod command;
mod connection;
mod control;
mod event;
mod heartbeat;
mod lease;
mod reader;
mod report;
mod sink;
mod slots;
mod takeover;

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use futures_util::future::BoxFuture;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{job::JobId, queue_name::QueueName};

pub use ack::AckLayer;
pub use command::Command;
pub use connection::{CONNECT_TIMEOUT, blocking, reconnecting};
pub use control::JobControl;
pub use event::{Outcome, Progress, clean};
pub use report::{ActiveJob, WorkerReport};

/// The consumer group of a queue's workers.
pub const GROUP: &str = "workers";

/// The limit of pending entries that are read; a queue's workers never hold more jobs.
const MAX_PENDING: usize = 10_000;

/// The configuration of a worker in a queue.
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// The client of Redis.
    pub redis: redis::Client,
    /// The queue that the worker serves.
    pub queue: QueueName,
    /// The worker's name in the consumer group. Two processes may share it: each one only renews the leases that it
    /// holds.
    pub worker: String,
    /// The number of jobs that run at the same time; never more are read, so that others stay available to other
    /// workers.
    pub slots: usize,
    /// The time without a heartbeat after which another worker may take a job over.
    pub lease: Duration,
    /// The number of deliveries after which a job is reported as failed, because its worker dies each time.
    pub max_deliveries: usize,
    /// The kinds of jobs that the worker knows, for people.
    pub kinds: Vec<&'static str>,
}

impl StreamConfig {
    /// Creates a configuration with the defaults: a dead worker's job runs again within ten seconds, and it kills no
    /// more than three workers.
    pub fn new(redis: redis::Client, queue: QueueName, worker: String, slots: usize) -> Self {
        Self {
            redis,
            queue,
            worker,
            slots: slots.max(1),
            lease: Duration::from_secs(6),
            max_deliveries: 3,
            kinds: Vec::new(),
        }
    }
}

/// The message in Redis for one attempt of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The job's queue, which determines the stream.
    pub queue: QueueName,
    /// The job's id, in table `job`.
    pub job_id: JobId,
    /// Identifies this dispatch: reports of another dispatch change nothing.
    pub fence: i64,
    /// The kind of the job; see [`crate::kind::Kind`].
    pub kind: String,
    /// The payload as JSON, prepared at dispatch. The handler decodes it: an unreadable payload fails that job, not the
    /// worker.
    pub payload: Vec<u8>,
    /// The time after which the handler is requested to finish.
    pub soft_limit: Option<Duration>,
    /// The time after which the handler is terminated.
    pub hard_limit: Option<Duration>,
    /// The id of the HTTP request that created the job.
    pub request_id: Option<String>,
}

/// An error of Redis.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BackendError(#[from] redis::RedisError);

/// The source of tasks for an apalis worker, and the sink of the relay.
pub struct StreamBackend {
    config: Arc<StreamConfig>,
    stop: watch::Receiver<bool>,
    acks: mpsc::UnboundedSender<ack::Ack>,
    acks_to_store: Option<mpsc::UnboundedReceiver<ack::Ack>>,
    state: Arc<report::State>,
    running: Option<Running>,
    closing: Option<BoxFuture<'static, ()>>,
    sink: sink::Sink,
}

/// The tasks behind a polled backend.
struct Running {
    deliveries: mpsc::Receiver<lease::Delivery>,
    reader: JoinHandle<()>,
    /// Ends the background thread when it is dropped.
    _carrier: oneshot::Sender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl StreamBackend {
    /// Creates a backend, which does nothing before it is polled or pushed to. When `stop` becomes true, no further job
    /// is read; apalis does not poll a backend while it waits for running jobs, so its own stop signal would come too
    /// late.
    pub fn new(config: StreamConfig, stop: watch::Receiver<bool>) -> Self {
        let (acks, acks_to_store) = mpsc::unbounded_channel();
        let sink = sink::Sink::new(config.redis.clone());
        let state = Arc::new(report::State::new(config.slots));
        Self {
            config: Arc::new(config),
            stop,
            acks,
            acks_to_store: Some(acks_to_store),
            state,
            running: None,
            closing: None,
            sink,
        }
    }

    fn start(&mut self) -> Running {
        let (deliveries_in, deliveries) = mpsc::channel(1024);
        let reader = reader::Reader::new(
            Arc::clone(&self.config),
            deliveries_in,
            Arc::clone(&self.state),
            self.acks.clone(),
            self.stop.clone(),
        );
        if let Some(acks) = self.acks_to_store.take() {
            // Not among the tasks that end with the backend: it stores the remaining acknowledgements, then ends by
            // itself.
            tokio::spawn(ack::run(Arc::clone(&self.config), acks));
        }
        let carrier = carrier(Arc::clone(&self.config), Arc::clone(&self.state));
        Running { deliveries, reader: tokio::spawn(reader.run()), _carrier: carrier }
    }
}

/// Starts a thread for the tasks that must continue while handlers block every thread of the runtime: renewing leases,
/// executing commands and reporting.
fn carrier(config: Arc<StreamConfig>, state: Arc<report::State>) -> oneshot::Sender<()> {
    let (stop, stopped) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "can't send heartbeats: other workers take over long jobs"),
        };
        runtime.block_on(async {
            tokio::select! {
                _ = stopped => {}
                () = heartbeat::run(Arc::clone(&config), Arc::clone(&state)) => {}
                () = command::obey(Arc::clone(&config), Arc::clone(&state)) => {}
                () = report::run(Arc::clone(&config), Arc::clone(&state)) => {}
            }
        });
    });
    stop
}

impl Backend for StreamBackend {
    type Task = Task<Envelope>;
    type Error = BackendError;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), BackendError>> {
        if self.running.is_none() {
            self.running = Some(self.start());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, BackendError>>> {
        let Some(running) = self.running.as_mut() else { return Poll::Pending };
        match running.deliveries.poll_recv(context) {
            Poll::Ready(Some(delivery)) => {
                let id = TaskId::from_string(delivery.lease.entry().to_owned());
                let task = TaskBuilder::new(delivery.envelope)
                    .task_id(id)
                    .data(delivery.lease.control())
                    .data(delivery.lease)
                    .build();
                Poll::Ready(Some(Ok(task)))
            }
            // `None` would end the stream and hang the worker: pending until the monitor stops it.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_close(&mut self, context: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), BackendError>> {
        if let Some(running) = self.running.take() {
            self.closing =
                Some(Box::pin(takeover::hand_back(Arc::clone(&self.config), Arc::clone(&self.state), running)));
        }
        match self.closing.as_mut() {
            Some(closing) => closing.as_mut().poll(context).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl BackendConfig for StreamBackend {
    type Args = Envelope;
    type Id = String;
    // Not durable in apalis' sense: there, a payload that can't be decoded ends the worker.
    type Kind = Ephemeral;
    type Config = StreamConfig;
    type Layer = AckLayer;

    fn config(&self) -> &StreamConfig {
        &self.config
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> AckLayer {
        AckLayer::new(self.acks.clone(), self.config.worker.clone(), Arc::clone(&self.state))
    }
}
