//! The worker: one apalis worker per queue, and a stop in two stages.

use std::any::Any;

use apalis::{
    layers::catch_panic::{CatchPanicLayer, PanicError},
    prelude::{Monitor, ParallelizeExt as _, WorkerBuilder},
};
use tokio::sync::watch;
use uncloud::{
    kinds::{KINDS, Kind},
    queue::{
        QueueName,
        backend::{StreamBackend, StreamConfig},
    },
};

use crate::handlers::{Context, handle};

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
    /// What the handlers work with.
    pub context: Context,
}

/// Works until `stop` becomes true, then finishes what is running, hands back what had not started, and returns.
pub async fn run(settings: Settings, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let mut monitor = Monitor::new().should_restart(|context, error| {
        tracing::error!(worker = context.name(), %error, "worker ended; starting it again");
        true
    });
    for queue in settings.queues {
        let config = StreamConfig {
            kinds: KINDS.map(Kind::as_str).into(),
            ..StreamConfig::new(settings.redis.clone(), queue.clone(), settings.name.clone(), settings.concurrency)
        };
        let (context, backend_stop) = (settings.context.clone(), stop.clone());
        monitor = monitor.register(move |_| {
            WorkerBuilder::new(format!("{}/{queue}", config.worker))
                .backend(StreamBackend::new(config.clone(), backend_stop.clone()))
                .data(context.clone())
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

fn panicked(panic: &Box<dyn Any + Send>) -> PanicError {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    PanicError(format!("the handler panicked: {}", text.as_deref().unwrap_or("without a message")))
}
