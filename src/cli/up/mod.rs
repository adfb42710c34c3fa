//! The command `uncloud up`, which runs the whole provider on one machine, from nothing.

mod api;
mod args;
mod hosts;
mod secrets;
mod settings;
mod stack;
mod tls;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

pub use self::args::UpArgs;
use self::{settings::Settings, stack::Stack};
use crate::embedded::{DataDir, Registry, end_leftovers};

/// Signals this close together count as one request: `timeout` and some supervisors send theirs to the process and to
/// its group.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Runs until a signal stops it. Once the data folder is locked, everything that was started is stopped again, whatever
/// happens.
pub async fn up(args: UpArgs) -> anyhow::Result<()> {
    let settings = Settings::from_args(args)?;
    let (stop, hurry) = end_signals()?;
    let data_dir = DataDir::lock(&settings.data_dir)?;
    end_leftovers(&data_dir).await?;
    let registry = Arc::new(Registry::create(&data_dir)?);
    let mut stack = Stack::new(data_dir, registry, hurry);
    let outcome = stack.run(&settings, stop).await;
    stack.end().await;
    outcome
}

/// Turns the first SIGINT, SIGTERM or SIGHUP into a request to stop, and the next one into a request to hurry.
fn end_signals() -> anyhow::Result<(watch::Receiver<bool>, watch::Receiver<bool>)> {
    let listen = |kind| signal(kind).context("listening for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let ((stop, stopped), (hurry, hurried)) = (watch::channel(false), watch::channel(false));
    tokio::spawn(async move {
        let mut first = None;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            if stop.send_replace(true) {
                if first.is_some_and(|first: Instant| first.elapsed() < SAME_REQUEST) {
                    continue;
                }
                tracing::warn!("second signal: no longer waiting for running work");
                hurry.send_replace(true);
            } else {
                first = Some(Instant::now());
                tracing::info!("stopping everything in order (signal again to hurry)");
            }
        }
    });
    Ok((stopped, hurried))
}
