//! What an `uncloud up` that was killed has left running.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{DataDir, Instance, netns, postgres, runtime};

/// Longer than a worker needs for its own warm stop, shorter than patience.
const GRACE: Duration = Duration::from_secs(15);

/// Ends the processes, namespaces and folders of the instance that had `data_dir` before and did not end in order.
/// Holding the lock proves that it is dead; a process is ended only if its start time is the recorded one too.
pub async fn end_leftovers(data_dir: &DataDir) -> anyhow::Result<()> {
    let before = match Instance::read_even_dead(data_dir.path()) {
        Ok(before) => before,
        Err(error) => {
            tracing::warn!("what the last run has left is not known: {error:#}");
            None
        }
    };
    if let Some(before) = &before {
        tracing::info!(pid = before.process.pid, "the last run did not end in order, cleaning up after it");
        for child in before.children.iter().rev().filter(|child| child.process.is_running()) {
            tracing::info!(child = child.name, pid = child.process.pid, "ending what the last run has left");
            let signal = if child.name == "postgres" { Signal::SIGINT } else { Signal::SIGTERM };
            child.process.end(signal, GRACE).await;
        }
    }
    if let Some(stray) = postgres::stray(&data_dir.path().join("postgres")) {
        tracing::info!(pid = stray.pid, "ending a PostgreSQL that runs on this data folder");
        stray.end(Signal::SIGINT, GRACE).await;
    }
    netns::remove_all_of(data_dir.id())?;
    if let Some(folder) = before.and_then(|before| before.runtime_dir) {
        runtime::remove(&folder);
    }
    runtime::remove_stale(data_dir.id());
    Ok(())
}
