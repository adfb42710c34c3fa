//! The backend: the source of tasks for an apalis worker, and the sink of the relay.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use futures_util::future::BoxFuture;
use redis::RedisError;
use tokio::{
    runtime::{self, Runtime},
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{
    ack::{self, AckLayer},
    command,
    config::StreamConfig,
    connection::BackendError,
    envelope::Envelope,
    heartbeat, lease, reader, report, sink, takeover,
};

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

impl Running {
    /// Ends the tasks; jobs that were read but never started are handed back. Leases are renewed until then.
    async fn end(mut self, config: Arc<StreamConfig>, state: Arc<report::State>) {
        self.reader.abort();
        let _ = (&mut self.reader).await; // so that it reads nothing more
        self.deliveries.close();
        takeover::hand_back(&config, &state).await;
    }
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

    /// Returns true if Redis responds on the connection that pushes use. After a restart of Redis the first command on
    /// an old connection is lost; another connection would not reveal that.
    pub async fn responds(&mut self) -> bool {
        self.sink.responds().await
    }

    fn start(&mut self) -> Result<Running, BackendError> {
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
        // A runtime of its own, on a thread of its own: the handlers may block every thread of theirs. A job that Redis
        // has delivered must be read then too, so that its lease is renewed.
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(RedisError::from)?;
        let reader = runtime.spawn(reader.run());
        let carrier = carry(runtime, Arc::clone(&self.config), Arc::clone(&self.state));
        Ok(Running { deliveries, reader, _carrier: carrier })
    }
}

/// Starts a thread that runs the tasks of `runtime`, renews leases, executes commands and reports, until the returned
/// sender is dropped.
fn carry(runtime: Runtime, config: Arc<StreamConfig>, state: Arc<report::State>) -> oneshot::Sender<()> {
    let (stop, stopped) = oneshot::channel();
    std::thread::spawn(move || {
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
            self.running = Some(self.start()?);
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
            let (config, state) = (Arc::clone(&self.config), Arc::clone(&self.state));
            self.closing = Some(Box::pin(running.end(config, state)));
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

/// With this implementation, apalis makes the backend a `TaskSink`.
impl futures_util::Sink<Task<Envelope>> for StreamBackend {
    type Error = BackendError;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), BackendError>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, task: Task<Envelope>) -> Result<(), BackendError> {
        self.sink.push(task.args);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), BackendError>> {
        self.sink.poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), BackendError>> {
        self.sink.poll_flush(context)
    }
}
