//! The notifications to systemd (sd_notify(3)): the worker is ready, alive, or stopping.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{oneshot, watch};

/// Notifies systemd until `done` is dropped: ready, alive, and on the way out stopping, in this order however quickly the
/// worker stops. Without systemd it does nothing.
///
/// It runs among the handlers on purpose: if they block every thread for longer than `WatchdogSec=`, systemd restarts
/// the worker, which is the only way to end a handler that does not yield.
pub async fn tell(mut stop: watch::Receiver<bool>, mut done: oneshot::Receiver<()>) {
    // Redis may be down: the worker retries for ever, and systemd should not wait for it.
    say(&[NotifyState::Ready]);
    let period = sd_notify::watchdog_enabled().map(|limit| limit / 2);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            () = sleep(period) => say(&[NotifyState::Watchdog]),
        }
    }
    say(&[NotifyState::Stopping]);
    // Running jobs are finished first, which may take a while.
    loop {
        tokio::select! {
            _ = &mut done => return,
            () = sleep(period) => say(&[NotifyState::Watchdog]),
        }
    }
}

async fn sleep(period: Option<Duration>) {
    match period {
        Some(period) => tokio::time::sleep(period).await,
        None => std::future::pending().await,
    }
}

fn say(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        tracing::debug!(%error, "could not notify systemd");
    }
}
