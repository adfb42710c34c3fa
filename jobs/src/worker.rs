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

/// What a handler does with one job; what it returns becomes the job's result.
pub type Work = Pin<Box<dyn Future<Output = Result<Value, JobError>> + Send>>;

/// Runs jobs of all the worker's kinds. One that it does not know is its failure, not the worker's.
pub type Handler = Arc<dyn Fn(Envelope, JobControl) -> Work + Send + Sync>;

/// What a worker is started with.
pub struct Settings {
    /// Where the jobs come from.
    pub redis: redis::Client,
    /// Whose work it does.
    pub queues: Vec<QueueName>,
    /// Its name, for people.
    pub name: String,
    /// Jobs at the same time, for each queue.
    pub concurrency: usize,
    /// The kinds that the handler knows, for people.
    pub kinds: Vec<&'static str>,
    /// What it does with a job.
    pub handler: Handler,
}

/// Works until `stop` becomes true, then finishes what is running, hands back what had not started, and returns.
pub async fn run(settings: Settings, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let mut monitor = Monitor::new().should_restart(|context, error| {
        tracing::error!(worker = context.name(), %error, "worker ended; starting it again");
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
                .parallelize(tokio::spawn) // a slow handler must hold up neither heartbeat nor neighbours
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

/// Within the job's limits, and with its name in the log.
async fn handle(envelope: Envelope, handler: Data<Handler>, control: Data<JobControl>) -> Result<Value, JobError> {
    let span = tracing::info_span!("job", id = envelope.job_id, kind = envelope.kind, request = envelope.request_id);
    let work = handler(envelope, JobControl::clone(&control));
    async {
        let result = control.run(work).await;
        match &result {
            Ok(_) => tracing::info!("job done"),
            Err(error) => tracing::warn!(%error, "job not done"),
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
