//! The worker: one apalis worker per queue, and a stop in two stages.

use std::{any::Any, pin::Pin, sync::Arc};

use apalis::{
    layers::catch_panic::{CatchPanicLayer, PanicError},
    prelude::{Data, Monitor, ParallelizeExt as _, WorkerBuilder},
};
use serde_json::Value;
use tokio::sync::watch;
use tracing::Instrument as _;
use uncloud_wire::{
    JobError, QueueName,
    stream::{Envelope, JobControl, StreamBackend, StreamConfig},
};

/// The future of a job; its value becomes the job's result.
pub type Work = Pin<Box<dyn Future<Output = Result<Value, JobError>> + Send>>;

/// The function that runs jobs of all the worker's kinds. A job of an unknown kind fails; the worker does not.
pub type Handler = Arc<dyn Fn(Envelope, JobControl) -> Work + Send + Sync>;

/// The settings of a worker.
pub struct Settings {
    /// The client of the Redis that delivers the jobs.
    pub redis: redis::Client,
    /// The queues whose jobs the worker runs.
    pub queues: Vec<QueueName>,
    /// The worker's name, for people.
    pub name: String,
    /// The number of concurrent jobs for each queue.
    pub concurrency: usize,
    /// The kinds that the handler knows, for people.
    pub kinds: Vec<&'static str>,
    /// The function that runs a job.
    pub handler: Handler,
}

/// Runs jobs until `stop` becomes true, then finishes the running ones, returns those that have not started to the
/// queue, and returns.
pub async fn run(settings: Settings, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let mut monitor = Monitor::new().should_restart(|context, error| {
        tracing::error!(worker = context.name(), %error, "the worker of a queue ended; restarting it");
        true
    });
    for queue in settings.queues {
        let config = StreamConfig {
            kinds: settings.kinds.clone(),
            ..StreamConfig::new(settings.redis.clone(), queue.clone(), settings.name.clone(), settings.concurrency)
        };
        let (handler, backend_stop) = (Arc::clone(&settings.handler), stop.clone());
        monitor = monitor.register(move |_| {
            WorkerBuilder::new(format!("{}/{queue}", config.worker))
                .backend(StreamBackend::new(config.clone(), backend_stop.clone()))
                .data(Arc::clone(&handler))
                .parallelize(tokio::spawn) // a slow handler must delay neither the heartbeat nor other jobs
                .layer(CatchPanicLayer::with_panic_handler(panicked))
                .build(handle)
        });
    }
    let context = monitor.context();
    let running = tokio::spawn(monitor.run());
    let _ = stop.wait_for(|stop| *stop).await;
    context.shutdown()?;
    running.await??;
    Ok(())
}

/// Runs a job within its limits, and with its name in the log.
async fn handle(envelope: Envelope, handler: Data<Handler>, control: Data<JobControl>) -> Result<Value, JobError> {
    let span = tracing::info_span!("job", id = envelope.job_id, kind = envelope.kind, request = envelope.request_id);
    let work = handler(envelope, JobControl::clone(&control));
    async {
        let result = control.run(work).await;
        match &result {
            Ok(_) => tracing::info!("job done"),
            Err(error) => tracing::warn!(%error, "job not completed"),
        }
        result
    }
    .instrument(span)
    .await
}

fn panicked(panic: &Box<dyn Any + Send>) -> PanicError {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    PanicError(format!("the handler panicked: {}", text.as_deref().unwrap_or("without a message")))
}
