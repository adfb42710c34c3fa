//! Ends the leftovers of an `uncloud up` that was killed.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{DataDir, Instance, netns, postgres, runtime};

/// The time before a leftover process is killed: longer than a worker's warm stop, shorter than a user's patience.
const GRACE: Duration = Duration::from_secs(15);

/// Ends the processes, namespaces and folders of the previous instance on `data_dir` that did not shut down properly.
/// Holding the lock proves that it is dead; a process is ended only if its start time is the recorded one.
pub async fn end_leftovers(data_dir: &DataDir) -> anyhow::Result<()> {
    let before = match Instance::read_even_dead(data_dir.path()) {
        Ok(before) => before,
        Err(error) => {
            tracing::warn!("the leftovers of the last run are unknown: {error:#}");
            None
        }
    };
    if let Some(before) = &before {
        tracing::info!(pid = before.process.pid, "the last run did not shut down properly, cleaning up after it");
        for child in before.children.iter().rev().filter(|child| child.process.is_running()) {
            tracing::info!(child = child.name, pid = child.process.pid, "ending a leftover process of the last run");
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
