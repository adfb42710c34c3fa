//! The command `uncloud job watch`, which shows the progress of a job.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use sqlx::PgPool;
use uncloud_wire::{
    JobId,
    program::{Exit, Failure, can_overwrite, say},
};

use crate::queue::{self, JobState, Notifier};

/// Returns the error for a missing job, with the command that lists jobs.
pub(super) fn not_found(job: JobId) -> anyhow::Error {
    Failure::not_found(format!("job {job} not found; `uncloud job ls` lists jobs")).into()
}

/// Follows a job until it has ended: draws a bar on a terminal, and writes a line for each change elsewhere.
pub(super) async fn watch(pool: &PgPool, wake: &Arc<Notifier>, job: JobId) -> anyhow::Result<()> {
    let listener = tokio::spawn(queue::listen(pool.clone(), Arc::clone(wake)));
    let terminal = can_overwrite();
    let (begin, end) = if terminal { ("\r\x1b[K", "") } else { ("", "\n") };
    let mut last = String::new();
    let view = loop {
        let view = queue::wait_until_finished(pool, wake, job, None, Duration::from_millis(500)).await?;
        let view = view.ok_or_else(|| not_found(job))?;
        let line = bar(view.state, view.progress.as_ref());
        if line != last {
            say(&format!("{begin}job {job} {line}{end}"));
            last = line;
        }
        if view.state.is_final() {
            break view;
        }
    };
    listener.abort();
    if terminal {
        say("\n");
    }
    if view.state != JobState::Succeeded {
        let (state, error) = (view.state.as_str(), view.error.unwrap_or_default());
        return Err(Failure::new(Exit::Failed, format!("job {job} is {state}: {error}")).into());
    }
    Ok(())
}

/// Formats the progress, as in `running [#####.....] 50 of 100 bills`.
fn bar(state: JobState, progress: Option<&Value>) -> String {
    const WIDTH: u64 = 30;
    let number = |name: &str| progress.and_then(|progress| progress[name].as_u64());
    let (Some(done), Some(total)) = (number("done"), number("total")) else { return state.as_str().to_owned() };
    let filled = (done.min(total) * WIDTH).checked_div(total).unwrap_or(WIDTH);
    let drawn: String = (0..WIDTH).map(|step| if step < filled { '#' } else { '.' }).collect();
    let message = progress.and_then(|progress| progress["message"].as_str()).unwrap_or_default();
    format!("{} [{drawn}] {done} of {total} {message}", state.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bar_with_progress_shows_its_share() {
        assert_eq!(bar(JobState::Queued, None), "queued");
        let half = json!({ "done": 50, "total": 100, "message": "bills" });
        let expected = "running [###############...............] 50 of 100 bills";
        assert_eq!(bar(JobState::Running, Some(&half)), expected);
        let nothing = json!({ "done": 0, "total": 0, "message": "" });
        assert!(bar(JobState::Running, Some(&nothing)).contains("[##############################] 0 of 0"));
    }
}
