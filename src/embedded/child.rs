//! A child process that is kept running, recorded, and stopped gracefully.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Account, ProcessId, Registry, START_DEADLINE, log_tail};

/// The first pause before a child that died is restarted; doubled each time.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
/// The longest pause before a restart.
const BACKOFF_MOST: Duration = Duration::from_secs(10);
/// The running time after which a child counts as healthy: the pauses start again with the first.
const WELL_AFTER: Duration = Duration::from_secs(30);
/// The number of deaths before a child is ready after which starting it fails.
const DEATHS_BEFORE_READY: u32 = 4;
/// The size beyond which a log is renamed at the next start, replacing the previous one.
const LOG_MAX: u64 = 10 * 1024 * 1024;

/// The destination of a child's output.
#[derive(Debug, Clone)]
pub enum Log {
    /// Appends the output to this file.
    File(PathBuf),
    /// Writes to the output of this process.
    Inherit,
}

/// The steps by which a child is stopped.
#[derive(Debug, Clone, Copy)]
pub struct StopPlan {
    /// The signal that requests a graceful end.
    pub signal: Signal,
    /// The signal that requests a quick end, sent when the user has pressed Ctrl-C twice.
    pub hurry: Signal,
    /// The time after which the child is killed.
    pub grace: Duration,
}

/// The program to run and its settings.
#[derive(Debug, Clone)]
pub struct ChildSpec {
    /// The name in logs and in `instance.json`.
    pub name: String,
    /// The absolute path of the program.
    pub program: PathBuf,
    /// The arguments.
    pub args: Vec<std::ffi::OsString>,
    /// The whole environment: nothing is inherited, so that no secret is passed on by accident.
    pub env: Vec<(String, std::ffi::OsString)>,
    /// The user to run as; `None`: the user of this process.
    pub account: Option<Account>,
    /// The destination of the output.
    pub log: Log,
    /// The steps by which the child is stopped.
    pub stop: StopPlan,
}

impl ChildSpec {
    fn command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        // A separate process group: Ctrl-C reaches `uncloud` only, which then stops its children in order.
        command.args(&self.args).env_clear().current_dir("/").stdin(Stdio::null()).process_group(0);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(account) = &self.account {
            account.apply(&mut command);
        }
        if let Log::File(path) = &self.log {
            let log = open_log(path)?;
            command.stderr(log.try_clone()?).stdout(log);
        }
        Ok(command)
    }

    fn spawn(&self) -> anyhow::Result<(tokio::process::Child, ProcessId)> {
        let mut child = tokio::process::Command::from(self.command()?)
            .spawn()
            .with_context(|| format!("starting {} ({})", self.name, self.program.display()))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let Some(process) = pid.and_then(ProcessId::of) else {
            let _ = child.start_kill();
            bail!("{} ended immediately after its start{}", self.name, self.log_tail());
        };
        Ok((child, process))
    }

    fn log_tail(&self) -> String {
        match &self.log {
            Log::File(path) => format!("; {}", log_tail(path)),
            Log::Inherit => String::new(),
        }
    }
}

/// Runs a program once until it ends, and fails unless it succeeds. The program is killed when the caller stops
/// waiting.
pub async fn run_to_end(spec: &ChildSpec) -> anyhow::Result<()> {
    let mut command = tokio::process::Command::from(spec.command()?);
    let status = command.kill_on_drop(true).status().await;
    let status = status.with_context(|| format!("starting {} ({})", spec.name, spec.program.display()))?;
    if !status.success() {
        bail!("{} failed ({status}){}", spec.name, spec.log_tail());
    }
    Ok(())
}

fn open_log(path: &Path) -> anyhow::Result<std::fs::File> {
    if path.metadata().is_ok_and(|metadata| metadata.len() > LOG_MAX) {
        std::fs::rename(path, path.with_extension("log.1")).with_context(|| format!("renaming {}", path.display()))?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true).open(path).with_context(|| format!("opening the log {}", path.display()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Order {
    Run,
    Stop,
    Hurry,
}

/// The externally visible state of a child.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    process: Option<ProcessId>,
    deaths: u32,
}

/// A running child. Dropping it without [`Child::stop`] leaves the process to be ended by the next start.
#[derive(Debug)]
pub struct Child {
    spec: Arc<ChildSpec>,
    order: watch::Sender<Order>,
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl Child {
    /// Starts the child and keeps it running: when it ends unexpectedly, it is restarted after a growing pause.
    pub fn start(spec: ChildSpec, registry: Arc<Registry>) -> anyhow::Result<Self> {
        let spec = Arc::new(spec);
        let first = spec.spawn()?;
        registry.record_child(&spec.name, first.1);
        let (order, orders) = watch::channel(Order::Run);
        let (sight, seen) = watch::channel(Seen { process: Some(first.1), deaths: 0 });
        let keeper = Keeper { spec: Arc::clone(&spec), registry, orders, sight };
        let task = tokio::spawn(keeper.keep(first));
        Ok(Self { spec, order, seen, task })
    }

    /// Returns the process that currently runs; `None` between two.
    pub fn process(&self) -> Option<ProcessId> {
        self.seen.borrow().process
    }

    /// Starts the child like [`Child::start`], and waits until `is_ready` returns true for the running process. If it
    /// does not become ready, the child is stopped, and the error contains the end of its log.
    pub(super) async fn start_ready(
        spec: ChildSpec,
        registry: Arc<Registry>,
        is_ready: impl Fn(ProcessId) -> bool,
    ) -> anyhow::Result<Self> {
        let child = Self::start(spec, registry)?;
        if let Err(error) = child.wait_ready(is_ready).await {
            child.stop(watch::channel(true).1).await;
            return Err(error);
        }
        Ok(child)
    }

    async fn wait_ready(&self, is_ready: impl Fn(ProcessId) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            let seen = *self.seen.borrow();
            if seen.process.is_some_and(&is_ready) {
                return Ok(());
            }
            if seen.deaths >= DEATHS_BEFORE_READY {
                bail!("{} failed to start{}", self.spec.name, self.spec.log_tail());
            }
            if Instant::now() >= deadline {
                let limit = START_DEADLINE.as_secs();
                bail!("{} was not ready within {limit} s{}", self.spec.name, self.spec.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops the child by its [`StopPlan`]; `hurry` becoming true cuts the grace period short.
    pub async fn stop(mut self, mut hurry: watch::Receiver<bool>) {
        self.order.send_replace(Order::Stop);
        tokio::select! {
            _ = &mut self.task => return,
            true = async { hurry.wait_for(|hurry| *hurry).await.is_ok() } => {}
        }
        self.order.send_replace(Order::Hurry);
        let _ = self.task.await;
    }
}

/// Waits until at least this order is given. An owner that was dropped without an order gives none.
async fn ordered(orders: &mut watch::Receiver<Order>, least: Order) {
    if orders.wait_for(|order| *order >= least).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The task that runs a [`Child`].
struct Keeper {
    spec: Arc<ChildSpec>,
    registry: Arc<Registry>,
    orders: watch::Receiver<Order>,
    sight: watch::Sender<Seen>,
}

impl Keeper {
    async fn keep(mut self, first: (tokio::process::Child, ProcessId)) {
        let mut running = Some(first);
        let mut pause = BACKOFF_FIRST;
        loop {
            if let Some((mut child, process)) = running.take() {
                let since = Instant::now();
                let ended = tokio::select! {
                    status = child.wait() => Some(status),
                    () = ordered(&mut self.orders, Order::Stop) => None,
                };
                let Some(status) = ended else {
                    self.end(&mut child, process).await;
                    return;
                };
                if since.elapsed() >= WELL_AFTER {
                    pause = BACKOFF_FIRST;
                }
                self.lost(status, pause);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = ordered(&mut self.orders, Order::Stop) => return,
            }
            pause = (pause * 2).min(BACKOFF_MOST);
            match self.spec.spawn() {
                Ok((child, process)) => {
                    tracing::info!(child = self.spec.name, pid = process.pid, "restarted");
                    self.registry.record_child(&self.spec.name, process);
                    self.sight.send_modify(|seen| seen.process = Some(process));
                    running = Some((child, process));
                }
                Err(error) => {
                    self.sight.send_modify(|seen| seen.deaths += 1);
                    tracing::error!(child = self.spec.name, "restart failed: {error:#}");
                }
            }
        }
    }

    fn lost(&self, status: std::io::Result<ExitStatus>, pause: Duration) {
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        tracing::warn!(child = self.spec.name, status, "ended unexpectedly, restarting it in {pause:?}");
        self.registry.forget_child(&self.spec.name);
        self.sight.send_modify(|seen| *seen = Seen { process: None, deaths: seen.deaths + 1 });
    }

    async fn end(&mut self, child: &mut tokio::process::Child, process: ProcessId) {
        let plan = self.spec.stop;
        process.signal(plan.signal);
        let mut deadline = tokio::time::Instant::now() + plan.grace;
        let mut hurried = false;
        loop {
            tokio::select! {
                _ = child.wait() => break,
                () = tokio::time::sleep_until(deadline) => {
                    tracing::warn!(child = self.spec.name, pid = process.pid, "did not end in time, killing it");
                    process.kill_group();
                    let _ = child.wait().await;
                    break;
                }
                () = ordered(&mut self.orders, Order::Hurry), if !hurried => {
                    hurried = true;
                    process.signal(plan.hurry);
                    deadline = deadline.min(tokio::time::Instant::now() + Duration::from_secs(2));
                }
            }
        }
        self.registry.forget_child(&self.spec.name);
    }
}
