//! Servers' and workers' side of an [`Action`].

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use nix::unistd::getpid;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uncloud::queue::{Claimed, JobKinds, Prepared, Settled, Succeeded};
use uncloud_wire::{
    JobError,
    stream::{Envelope, JobControl},
};

use super::Action;

/// The server's side: payloads go out as they are, results stay as they come.
#[derive(Debug)]
pub struct Kinds;

impl JobKinds for Kinds {
    fn prepare<'a>(
        &'a self,
        _: &'a mut PgConnection,
        jobs: &'a [Claimed],
    ) -> BoxFuture<'a, anyhow::Result<Vec<Prepared>>> {
        let payload = |job: &Claimed| {
            let mut payload = job.payload.clone();
            if let Some(bytes) = payload["bytes"].as_u64() {
                payload["filler"] = "x".repeat(usize::try_from(bytes).expect("small")).into();
            }
            // How each parent ended, for children that run in any case.
            payload["parents"] = job.parents.iter().map(|parent| json!([parent.state, parent.error])).collect();
            Prepared::Payload(payload.to_string().into_bytes())
        };
        Box::pin(async move { Ok(jobs.iter().map(payload).collect()) })
    }

    fn settle<'a>(&'a self, _: &'a mut PgConnection, _: &'a Succeeded) -> BoxFuture<'a, sqlx::Result<Settled>> {
        Box::pin(async { Ok(Settled::Done) })
    }
}

/// Returns the file in which workers note each start and end of a job, so that a test sees how often it ran and where.
pub fn trace_file(folder: &Path, job: i64) -> PathBuf {
    folder.join(format!("job-{job}"))
}

/// Notes a start or an end, and returns how often the job had started before.
fn note(folder: &Path, job: i64, what: &str) -> usize {
    let path = trace_file(folder, job);
    let before = fs::read_to_string(&path).unwrap_or_default();
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file");
    // One write, so that two workers' lines do not mix.
    file.write_all(format!("{what} {}\n", getpid()).as_bytes()).expect("written");
    before.lines().filter(|line| line.starts_with("start")).count()
}

/// Returns the time of day in nanoseconds, which all processes of a machine have in common.
#[expect(clippy::disallowed_methods, reason = "two processes compare it")]
pub fn nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_nanos()).expect("before 2554")
}

/// The worker's side of a job.
pub(super) async fn run(folder: PathBuf, envelope: Envelope, control: JobControl) -> Result<Value, JobError> {
    let payload: Value =
        serde_json::from_slice(&envelope.payload).map_err(|error| JobError::Fail(error.to_string()))?;
    let action: Action = serde_json::from_value(payload.clone()).map_err(|error| JobError::Fail(error.to_string()))?;
    // These leave no trace: benches count them by the hundred thousand.
    match action {
        Action::Nothing => return Ok(payload["parents"].clone()),
        Action::Stamp => return Ok(nanos().into()),
        _ => {}
    }
    let before = note(&folder, envelope.job_id, "start");
    perform(action, before, &control).await?;
    note(&folder, envelope.job_id, "end");
    Ok(json!({ "size": envelope.payload.len() }))
}

async fn perform(action: Action, before: usize, control: &JobControl) -> Result<(), JobError> {
    match action {
        Action::Sleep { millis } => {
            control.progress(1, 2, "asleep");
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        Action::Block { millis } => thread::sleep(Duration::from_millis(millis)),
        Action::WindUp => control.soft_limit().await,
        Action::Child => {
            let mut child =
                tokio::process::Command::new("sleep").arg("86400").kill_on_drop(true).spawn().expect("sleep");
            control.progress(child.id().expect("it runs").into(), 0, "pid");
            child.wait().await.expect("child");
        }
        Action::Fail { error } => return Err(JobError::Fail(error)),
        Action::FailFirst { times } if before < times => return Err(JobError::Retry("not yet".into())),
        Action::FailLate { millis } => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            if before == 0 {
                return Err(JobError::Retry("too late".into()));
            }
        }
        Action::SnoozeFirst { millis } if before == 0 => {
            let after = Duration::from_millis(millis);
            return Err(JobError::Snooze { after, reason: "waits for a friend".into() });
        }
        Action::Nothing
        | Action::Stamp
        | Action::Big { .. }
        | Action::FailFirst { .. }
        | Action::SnoozeFirst { .. } => {}
        Action::Panic => panic!("as asked by \"panic\""),
        Action::Abort => process::abort(),
    }
    Ok(())
}
