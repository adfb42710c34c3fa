//! A worker in this process that stands for a host; also the one of tests/remote.

use apalis::prelude::WorkerBuilder;
use serde_json::Value;
use tokio::sync::watch;
use uncloud_wire::{
    JobError,
    stream::{Envelope, StreamBackend, StreamConfig},
};

/// Answers with what `work` makes of each payload, until `stop`.
pub fn start<F>(config: StreamConfig, stop: &watch::Sender<bool>, work: F)
where
    F: Fn(Value) -> Result<Value, JobError> + Clone + Send + Sync + 'static,
{
    let backend = StreamBackend::new(config, stop.subscribe());
    let handler = move |envelope: Envelope| {
        let done = work(serde_json::from_slice(&envelope.payload).expect("JSON"));
        async move { done }
    };
    let worker = WorkerBuilder::new("test").backend(backend).build(handler);
    let mut stop = stop.subscribe();
    tokio::spawn(async move {
        tokio::select! {
            _ = worker.run() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
}
