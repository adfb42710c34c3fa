//! The other processes of a test: servers and workers with kinds of jobs of their own, to be killed and frozen at will.
//!
//! They are the program under test started a second time. A server is what `uncloud serve` runs besides HTTP, a worker
//! is all of `uncloud-worker`; only what their jobs mean is told here.

use std::{
    env,
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::Arc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use nix::unistd::{Pid, getpid, getppid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgConnection, postgres::PgPoolOptions};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use uncloud::queue::{Claimed, JobKinds, Rendered, Runner, Settled, Succeeded, Wake};
use uncloud_jobs::worker;
use uncloud_wire::{
    JobError, logging,
    stream::{Envelope, JobControl},
};

/// Says which part to play, and is empty in the test itself.
const PART: &str = "UNCLOUD_TEST_PART";

/// What a job of the tests does. Its kind is the name of the variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(crate) enum Act {
    /// Succeeds at once.
    Nothing,
    /// The same, and says when it began.
    Stamp,
    /// Succeeds after a while.
    Sleep {
        millis: u64,
    },
    /// The same, but holds up its thread.
    Block {
        millis: u64,
    },
    /// Waits for its soft limit and succeeds.
    WindUp,
    /// Ends only with a child process that outlives every test, and says its number as its progress.
    Child,
    /// Fails for good.
    Fail {
        error: String,
    },
    /// Fails so many times, then succeeds.
    FailFirst {
        times: usize,
    },
    /// Takes a while, and fails the first time.
    FailLate {
        millis: u64,
    },
    /// Wants to be left alone at first.
    SnoozeFirst {
        millis: u64,
    },
    Panic,
    /// Takes its worker with it.
    Abort,
    /// Has a payload of so many bytes.
    Big {
        bytes: usize,
    },
}

impl Act {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Stamp => "stamp",
            Self::Sleep { .. } => "sleep",
            Self::Block { .. } => "block",
            Self::WindUp => "wind_up",
            Self::Child => "child",
            Self::Fail { .. } => "fail",
            Self::FailFirst { .. } => "fail_first",
            Self::FailLate { .. } => "fail_late",
            Self::SnoozeFirst { .. } => "snooze_first",
            Self::Panic => "panic",
            Self::Abort => "abort",
            Self::Big { .. } => "big",
        }
    }
}

/// Servers and workers find each other by these.
#[derive(Clone)]
pub(crate) struct Addresses {
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
    /// Workers leave traces here.
    pub(crate) folder: PathBuf,
}

impl Addresses {
    /// A server, not started yet. `argument` brings the program to [`play`].
    pub(crate) fn server(&self, arguments: &[&str]) -> Command {
        self.actor("server", arguments)
    }

    /// A worker for some queues, not started yet.
    pub(crate) fn worker(&self, arguments: &[&str], queues: &str, concurrency: usize) -> Command {
        let mut command = self.actor("worker", arguments);
        command.env("QUEUES", queues).env("CONCURRENCY", concurrency.to_string());
        command
    }

    fn actor(&self, part: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env::current_exe().expect("path of this program"));
        command.args(arguments).env_clear().env(PART, part).env("PATH", "/usr/bin:/bin");
        command.env("DATABASE_URL", &self.database_url).env("REDIS_URL", &self.redis_url).env("FOLDER", &self.folder);
        command
    }
}

/// Comes back at once in the test itself, and never in a process that it has started.
pub(crate) fn play() {
    let Ok(part) = env::var(PART) else { return };
    logging::init(logging::Format::Text, None);
    let parent = getppid();
    thread::spawn(move || follow(parent));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let (stop_in, stop) = watch::channel(false);
        let mut terminate = signal(SignalKind::terminate()).expect("signals");
        tokio::spawn(async move {
            terminate.recv().await;
            stop_in.send_replace(true);
        });
        match part.as_str() {
            "server" => serve(stop).await,
            "worker" => work(stop).await,
            part => panic!("no part {part}"),
        }
    });
    exit(0);
}

/// Nobody is left to end it when the test was killed.
fn follow(parent: Pid) {
    while getppid() == parent {
        thread::sleep(Duration::from_millis(500));
    }
    exit(1);
}

#[expect(clippy::disallowed_methods, reason = "back in the test harness it would run tests")]
fn exit(code: i32) -> ! {
    process::exit(code)
}

fn told(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is told"))
}

fn redis() -> redis::Client {
    redis::Client::open(told("REDIS_URL")).expect("a URL")
}

async fn serve(mut stop: watch::Receiver<bool>) {
    let options = PgPoolOptions::new().max_connections(20).acquire_timeout(Duration::from_secs(5));
    let pool = options.connect_lazy(&told("DATABASE_URL")).expect("a URL");
    let wake: Arc<Wake> = Arc::default();
    let runner = Runner { pool, redis: redis(), kinds: Arc::new(Kinds), wake, metrics: Arc::default() };
    let mut tasks = uncloud::queue::start(&runner, &stop);
    tracing::info!("serving");
    let _ = stop.wait_for(|stop| *stop).await;
    while tasks.join_next().await.is_some() {}
}

async fn work(stop: watch::Receiver<bool>) {
    let folder = PathBuf::from(told("FOLDER"));
    let settings = worker::Settings {
        redis: redis(),
        queues: told("QUEUES").split(',').map(|queue| queue.parse().expect("a queue")).collect(),
        name: format!("worker-{}", getpid()),
        concurrency: told("CONCURRENCY").parse().expect("a number"),
        kinds: vec!["nothing", "sleep"],
        handler: Arc::new(move |envelope, control| Box::pin(run(folder.clone(), envelope, control))),
    };
    tracing::info!("working");
    worker::run(settings, stop).await.expect("it ends in order");
}

/// What the jobs of the tests mean.
pub(crate) struct Kinds;

impl JobKinds for Kinds {
    fn render<'a>(
        &'a self,
        _: &'a mut PgConnection,
        jobs: &'a [Claimed],
    ) -> BoxFuture<'a, anyhow::Result<Vec<Rendered>>> {
        let payload = |job: &Claimed| {
            let mut payload = job.payload.clone();
            if let Some(bytes) = payload["bytes"].as_u64() {
                payload["filler"] = "x".repeat(usize::try_from(bytes).expect("small")).into();
            }
            // How each parent ended, for children that run in any case.
            payload["parents"] = job.parents.iter().map(|parent| json!([parent.state, parent.error])).collect();
            Rendered::Payload(payload.to_string().into_bytes())
        };
        Box::pin(async move { Ok(jobs.iter().map(payload).collect()) })
    }

    fn settle<'a>(&'a self, _: &'a mut PgConnection, _: &'a Succeeded) -> BoxFuture<'a, sqlx::Result<Settled>> {
        Box::pin(async { Ok(Settled::Done) })
    }
}

/// What a worker notes of each run: so a test sees how often a job ran, where and when.
pub(crate) fn trace_file(folder: &Path, job: i64) -> PathBuf {
    folder.join(format!("job-{job}"))
}

/// Returns how often the job has begun before.
fn note(folder: &Path, job: i64, what: &str) -> usize {
    let path = trace_file(folder, job);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file");
    // One write, so that two workers' lines do not mix.
    file.write_all(format!("{what} {}\n", getpid()).as_bytes()).expect("written");
    before.lines().filter(|line| line.starts_with("begin")).count()
}

/// The time of day, which all processes of a machine have in common.
#[expect(clippy::disallowed_methods, reason = "two processes compare it")]
pub(crate) fn nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_nanos()).expect("before 2554")
}

async fn run(folder: PathBuf, envelope: Envelope, control: JobControl) -> Result<Value, JobError> {
    let payload: Value =
        serde_json::from_slice(&envelope.payload).map_err(|error| JobError::Fail(error.to_string()))?;
    let act: Act = serde_json::from_value(payload.clone()).map_err(|error| JobError::Fail(error.to_string()))?;
    // These leave no trace: benches count them by the hundred thousand.
    match act {
        Act::Nothing => return Ok(payload["parents"].clone()),
        Act::Stamp => return Ok(nanos().into()),
        _ => {}
    }
    let before = note(&folder, envelope.job_id, "begin");
    act_out(act, before, &payload, &control).await?;
    note(&folder, envelope.job_id, "end");
    Ok(json!({ "size": envelope.payload.len() }))
}

async fn act_out(act: Act, before: usize, payload: &Value, control: &JobControl) -> Result<(), JobError> {
    match act {
        Act::Sleep { millis } => {
            control.progress(1, 2, "asleep");
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        Act::Block { millis } => thread::sleep(Duration::from_millis(millis)),
        Act::WindUp => control.soft_limit().await,
        Act::Child => {
            let mut child =
                tokio::process::Command::new("sleep").arg("86400").kill_on_drop(true).spawn().expect("sleep");
            control.progress(child.id().expect("it runs").into(), 0, "pid");
            child.wait().await.expect("child");
        }
        Act::Fail { error } => return Err(JobError::Fail(error)),
        Act::FailFirst { times } if before < times => return Err(JobError::Retry("not yet".into())),
        Act::FailLate { millis } => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            if before == 0 {
                return Err(JobError::Retry("too late".into()));
            }
        }
        Act::SnoozeFirst { millis } if before == 0 => {
            let after = Duration::from_millis(millis);
            return Err(JobError::Snooze { after, reason: "waits for a friend".into() });
        }
        Act::Nothing | Act::Stamp | Act::Big { .. } | Act::FailFirst { .. } | Act::SnoozeFirst { .. } => {}
        Act::Panic => panic!("as asked by {}", payload["kind"]),
        Act::Abort => process::abort(),
    }
    Ok(())
}
