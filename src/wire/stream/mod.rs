//! An apalis backend on Redis Streams: [`StreamBackend`] is the worker's source of tasks and the relay's sink.
//!
//! One consumer group per queue. A worker holds a *lease* on what it reads and renews it by heartbeat; what a dead
//! worker held is claimed by the next one. After a job one transaction writes the event, acknowledges the entry and
//! deletes it, so Redis holds unfinished work only. No error of Redis ever reaches the worker: an `Err` from
//! `poll_next` would end it, so everything here reconnects for ever.

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

/// More jobs than the workers of a queue ever hold.
const MAX_PENDING: usize = 10_000;

/// How a worker takes part in a queue.
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// Where Redis is.
    pub redis: redis::Client,
    /// The queue to work on.
    pub queue: QueueName,
    /// This worker's name in the consumer group. Two processes may share it: each only renews what it holds.
    pub worker: String,
    /// Jobs run at the same time, and never more are read: others stay free for other workers.
    pub slots: usize,
    /// After this long without a heartbeat a job is another worker's.
    pub lease: Duration,
    /// Deliveries after which a job is reported as failed, because its worker dies each time.
    pub max_deliveries: usize,
    /// The kinds of jobs that the worker knows, for people.
    pub kinds: Vec<&'static str>,
}

impl StreamConfig {
    /// The defaults: a dead worker's job runs again within ten seconds, and no more than three workers die of it.
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

/// What travels through Redis for one attempt of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Whose work it is; says where the sink puts it.
    pub queue: QueueName,
    /// The row in table `job`.
    pub job_id: JobId,
    /// Names this dispatch: reports of another one change nothing.
    pub fence: i64,
    /// See [`crate::kind::Kind`].
    pub kind: String,
    /// JSON, rendered at dispatch. Decoded by the handler: what can't be read fails that job, not the worker.
    pub payload: Vec<u8>,
    /// The handler is asked to wind up after this long.
    pub soft_limit: Option<Duration>,
    /// The handler is ended after this long.
    pub hard_limit: Option<Duration>,
    /// The HTTP request that wanted it.
    pub request_id: Option<String>,
}

/// Something went wrong between us and Redis.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BackendError(#[from] redis::RedisError);

/// Source of tasks for an apalis worker, and sink for the relay.
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
    /// Ends the carrier's thread when it is dropped.
    _carrier: oneshot::Sender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl StreamBackend {
    /// Nothing happens before it is polled or pushed to. When `stop` becomes true, no further job is read; apalis
    /// does not poll a backend while it waits for running jobs, so its own stop signal would come too late.
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
            // Not among the tasks that end with us: it stores what is still to be stored, then ends by itself.
            tokio::spawn(ack::run(Arc::clone(&self.config), acks));
        }
        let carrier = carrier(Arc::clone(&self.config), Arc::clone(&self.state));
        Running { deliveries, reader: tokio::spawn(reader.run()), _carrier: carrier }
    }
}

/// What must go on while handlers block every thread of the runtime: leases are renewed, staff are heard and answered.
fn carrier(config: Arc<StreamConfig>, state: Arc<report::State>) -> oneshot::Sender<()> {
    let (stop, stopped) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "no heartbeat: jobs go to another worker when they take long"),
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
            // `None` would end the stream and hang the worker: pending until the monitor stops us.
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
    // Not durable in apalis' sense: there a payload that can't be decoded ends the worker.
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
