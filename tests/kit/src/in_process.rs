//! `uncloud serve` and a host's worker as tasks of the test itself.

use std::net::SocketAddr;

use apalis::prelude::WorkerBuilder;
use serde_json::Value;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};
use uncloud::{
    accounts::AccountSettings,
    cli::serve::{ServeSettings, serve},
    http::TrustedProxies,
    server::{RateLimits, listen::Limits},
};
use uncloud_wire::{
    JobError, Secret,
    stream::{Envelope, StreamBackend, StreamConfig},
};

use crate::fixtures::SECRET_KEY;

/// Returns the settings of a server without rate limits, directory, TLS and proxies, on a port of the system's choice.
pub fn serve_settings(database_url: Secret<String>, redis_url: Secret<String>) -> ServeSettings {
    ServeSettings {
        database_url,
        redis_url,
        redis_ca_file: None,
        secret_key: Secret::new(SECRET_KEY.into()),
        listen: "127.0.0.1:0".parse().expect("an address"),
        metrics_listen: None,
        accounts: AccountSettings::default(),
        proxies: TrustedProxies::default(),
        origins: Vec::new(),
        rates: RateLimits::NONE,
        tls: None,
        allow_plaintext: false,
        limits: Limits::default(),
    }
}

/// A server that runs in the test; it ends when the value is dropped.
#[derive(Debug)]
pub struct Server {
    /// The address at which it listens.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    /// Starts a server and waits until it listens.
    pub async fn start(settings: ServeSettings) -> Self {
        let (ready, address) = oneshot::channel();
        let (stop, stopped) = watch::channel(false);
        let mut task = tokio::spawn(serve(settings, ready, stopped));
        let Ok(address) = address.await else { panic!("the server does not start: {:?}", (&mut task).await) };
        Self { address, stop, task }
    }

    /// Starts a worker that ends with the server. It takes jobs as `config` says, and replies with what `work` makes
    /// of each payload.
    pub fn start_worker<F>(&self, config: StreamConfig, work: F)
    where
        F: Fn(Value) -> Result<Value, JobError> + Clone + Send + Sync + 'static,
    {
        let backend = StreamBackend::new(config, self.stop.subscribe());
        let handler = move |envelope: Envelope| {
            let done = work(serde_json::from_slice(&envelope.payload).expect("JSON"));
            async move { done }
        };
        let worker = WorkerBuilder::new("test").backend(backend).build(handler);
        let mut stop = self.stop.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                _ = worker.run() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }

    /// Stops the server and its workers, and waits for the server's end.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        (&mut self.task).await.expect("no panic").expect("ends in order");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
