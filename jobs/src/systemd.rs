//! What systemd is told (sd_notify(3)): that the worker is there, that it still moves, and that it stops.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{oneshot, watch};

/// Reports until `done` is dropped: ready, alive, and on the way out that the worker stops, in this order however quick the
/// worker is. Without systemd it does nothing.
///
/// It runs among the handlers on purpose: when they block every thread for longer than `WatchdogSec=`, systemd starts the
/// worker anew, and that is the only way to end a handler that does not wait.
pub async fn tell(mut stop: watch::Receiver<bool>, mut done: oneshot::Receiver<()>) {
    // Redis may be away: the worker tries for ever, and nothing should wait for it to succeed.
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
        tracing::debug!(%error, "systemd could not be told");
    }
}
