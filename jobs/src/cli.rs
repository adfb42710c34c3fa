//! The command line of `uncloud-worker`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use clap::{
    ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum, ValueHint,
    parser::ValueSource,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
};
use uncloud_wire::{
    KINDS, Kind, QueueName, Secret, broker, logging,
    program::{CompletionArgs, Exit, Failure, ManArgs, command_with_settings, end, parsed, secret_or_file, switch},
};

use crate::{
    handlers,
    host::{Host, Implementation, Restored},
    provider::{self, Database},
    systemd, worker,
};

const EXAMPLES: &str = "\
An option with [env: NAME] can also be set by that variable, or by a line NAME=value in the file of
--config. Options win over variables, and variables over the file. Secrets can be in files of their
own: NAME_FILE names the file, as in REDIS_URL_FILE.

The first SIGTERM or SIGINT stops the worker after its running jobs; jobs that have not begun go
back to the queue. The second one stops it at once; the next worker takes over the running jobs.

Examples:
  uncloud-worker --queue vpn-1.example.ch --broker-file /etc/uncloud/broker-url
  uncloud-worker -Q billing,vpn-1.example.ch -b redis://127.0.0.1:6379 -n worker1@%h -c 8 -l info
  uncloud-worker restore            # at boot: tunnels are back before the control plane is";

/// Runs the jobs of queues; the queue of a VPN host has the host's full name.
#[derive(Debug, Parser)]
#[command(
    name = "uncloud-worker",
    version,
    propagate_version = true,
    subcommand_negates_reqs = true,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", Exit::help())
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    host: HostArgs,
    /// File of NAME=value lines with settings; options and environment variables win over it.
    #[arg(long, global = true, env = "UNCLOUD_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Format of the log.
    #[arg(long, global = true, env = "UNCLOUD_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    log_format: logging::Format,
    #[command(flatten)]
    log_file: logging::LogFileArgs,
}

/// Options of a worker that runs jobs.
#[derive(Debug, Args)]
struct WorkArgs {
    /// Queue to run jobs of; may be repeated, or a comma-separated list.
    #[arg(short = 'Q', long = "queue", value_delimiter = ',', required = true, value_name = "NAME")]
    queues: Vec<QueueName>,
    /// URL of Redis, as in rediss://user:password@redis.example.ch
    #[arg(short, long, env = "REDIS_URL", value_name = "URL", value_hint = ValueHint::Url)]
    broker: Option<Secret<String>>,
    /// File with the URL of Redis, so that no list of processes shows its password.
    #[arg(long, env = "REDIS_URL_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    broker_file: Option<PathBuf>,
    /// Certificates (PEM) of the authority to trust for a rediss:// URL, instead of those of this machine.
    #[arg(long, env = "REDIS_CA_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    broker_ca_file: Option<PathBuf>,
    /// Name of this worker; %h is replaced by the machine's name.
    #[arg(short, long, env = "UNCLOUD_WORKER_NAME", default_value = "worker1@%h")]
    name: String,
    /// Jobs at the same time, for each queue.
    #[arg(short, long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// URL of PostgreSQL, for the queue `billing` only.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", value_hint = ValueHint::Url)]
    database_url: Option<Secret<String>>,
    /// File with the URL of PostgreSQL.
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    database_url_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring all interfaces to their last known state at boot, without the control plane.
    #[command(after_help = "Example:\n  uncloud-worker restore --state-dir /etc/wireguard")]
    Restore,
    /// Print a script that makes a shell complete this command.
    #[command(after_help = "\
Examples:
  source <(uncloud-worker completion bash)                                  # for this shell
  uncloud-worker completion bash >/etc/bash_completion.d/uncloud-worker     # for all users")]
    Completion(CompletionArgs),
    /// Write man pages for all commands.
    #[command(after_help = "Example:\n  uncloud-worker man /usr/local/share/man/man1 && man uncloud-worker")]
    Man(ManArgs),
}

/// The options of a host, which apply to running jobs and to `restore`.
#[derive(Debug, Args)]
struct HostArgs {
    /// Folder of the interfaces' last known states; only the worker's user needs to read it.
    #[arg(long, global = true, env = "UNCLOUD_STATE_DIR", default_value = "/etc/wireguard", value_name = "DIR", value_hint = ValueHint::DirPath)]
    state_dir: PathBuf,
    /// Implementation of WireGuard.
    #[arg(
        long,
        global = true,
        env = "UNCLOUD_WIREGUARD_IMPLEMENTATION",
        default_value = "kernel",
        value_name = "NAME"
    )]
    wireguard_implementation: WireguardImplementation,
    /// Run `ip`, `wg` and `wireguard-go` through `sudo -n`, for a worker without CAP_NET_ADMIN.
    #[arg(long, global = true, env = "UNCLOUD_SUDO", value_parser = switch)]
    sudo: bool,
    /// Configure nothing, and report this missing capability instead.
    #[arg(long, global = true, value_name = "WHAT_IS_MISSING")]
    dry_run: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WireguardImplementation {
    /// The kernel's implementation.
    Kernel,
    /// wireguard-go, where the kernel has no WireGuard.
    WireguardGo,
}

impl HostArgs {
    fn host(self) -> anyhow::Result<Host> {
        let implementation = match (self.dry_run, self.wireguard_implementation) {
            (Some(missing), _) => Implementation::DryRun(missing),
            (None, WireguardImplementation::Kernel) => Implementation::Kernel,
            (None, WireguardImplementation::WireguardGo) => Implementation::WireguardGo,
        };
        let host = Host::new(self.state_dir, implementation)?;
        Ok(if self.sudo { host.with_sudo()? } else { host })
    }
}

/// Returns the definition of the command line, for completion, man pages and the reference.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line, and prints an error as one line.
#[tokio::main]
pub async fn run(args: Vec<OsString>) -> ExitCode {
    end("uncloud-worker", run_command(args).await, provider::exit_of)
}

async fn run_command(args: Vec<OsString>) -> anyhow::Result<()> {
    let command = command_with_settings(command(), &args)?;
    let matches = parsed(command.try_get_matches_from(args))?;
    ensure_no_option_is_idle(&matches)?;
    let cli = parsed(Cli::from_arg_matches(&matches))?;
    logging::init_with(cli.log_format, &cli.log_file)?;
    match cli.command {
        Some(Command::Restore) => restore(cli.host).await,
        Some(Command::Completion(args)) => args.run(self::command()),
        Some(Command::Man(args)) => args.run(self::command()),
        None => work(cli.work, cli.host).await,
    }
}

/// Refuses options for running jobs together with a subcommand, which would ignore them.
fn ensure_no_option_is_idle(matches: &ArgMatches) -> anyhow::Result<()> {
    let Some(subcommand) = matches.subcommand_name() else { return Ok(()) };
    let options = WorkArgs::augment_args(clap::Command::new("work"));
    let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    match options.get_arguments().find(|option| typed(option.get_id().as_str())) {
        Some(option) => {
            let option = option.get_long().unwrap_or_default();
            Err(Failure::usage(format!("--{option} can't be used with `{subcommand}`; try --help")).into())
        }
        None => Ok(()),
    }
}

async fn restore(args: HostArgs) -> anyhow::Result<()> {
    let restored = args.host()?.restore().await?;
    let mut failed = 0;
    for Restored { interface, outcome } in &restored {
        if let Err(error) = outcome {
            tracing::error!(%interface, %error, "the interface could not be restored");
            failed += 1;
        }
    }
    ensure!(
        failed == 0,
        "{failed} of {} interfaces could not be restored; see the log for the reasons",
        restored.len()
    );
    tracing::info!(interfaces = restored.len(), "restored");
    Ok(())
}

async fn work(args: WorkArgs, host: HostArgs) -> anyhow::Result<()> {
    let redis = broker::client(&broker_url(args.broker, args.broker_file.as_deref())?, args.broker_ca_file.as_deref());
    let redis = redis.context(Failure::usage("can't use REDIS_URL"))?;
    let name = args.name.replace("%h", &nix::unistd::gethostname()?.to_string_lossy());
    tracing::info!(worker = name, queues = ?args.queues.iter().map(QueueName::as_str).collect::<Vec<_>>(), concurrency = args.concurrency, "working");
    let host = host.host().map(Arc::new).map_err(|error| error.to_string());
    if let Err(missing) = &host {
        tracing::warn!(missing, "this machine can't serve VPN networks");
    }
    let database = if args.queues.iter().any(QueueName::is_billing) {
        Some(database(args.database_url, args.database_url_file.as_deref()).await?)
    } else {
        None // regardless of the environment: a host must not use the database
    };
    let context = handlers::Context { host, database };
    let settings = worker::Settings {
        redis,
        queues: args.queues,
        name,
        concurrency: args.concurrency.into(),
        kinds: KINDS.iter().copied().map(Kind::as_str).collect(),
        handler: Arc::new(move |envelope, control| Box::pin(handlers::handle(envelope, context.clone(), control))),
    };
    let stop = stop_signal()?;
    let (done_in, done) = oneshot::channel();
    let reports = tokio::spawn(systemd::tell(stop.clone(), done));
    worker::run(settings, stop).await?;
    drop::<oneshot::Sender<()>>(done_in);
    reports.await?;
    tracing::info!("stopped: all jobs are finished");
    Ok(())
}

async fn database(url: Option<Secret<String>>, file: Option<&Path>) -> anyhow::Result<Database> {
    let url = secret_or_file("DATABASE_URL", url, file)?.ok_or_else(|| {
        Failure::usage("the queue billing requires a database: set DATABASE_URL or DATABASE_URL_FILE")
    })?;
    provider::connect(&url).await
}

fn broker_url(url: Option<Secret<String>>, file: Option<&Path>) -> anyhow::Result<Secret<String>> {
    let missing = || Failure::usage("Redis is not configured: set REDIS_URL or REDIS_URL_FILE, or use --broker").into();
    secret_or_file("REDIS_URL", url, file)?.ok_or_else(missing)
}

/// Returns a watch that becomes true at the first signal; the second one ends the process.
fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (stop_in, stop) = watch::channel(false);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        tracing::info!("stopping: running jobs are finished; a second signal stops at once");
        stop_in.send_replace(true);
        next().await;
        tracing::warn!("stopped at once; another worker takes over the running jobs");
        #[expect(clippy::disallowed_methods, reason = "nothing may hold up a cold stop")]
        std::process::exit(Exit::Interrupted.code().into());
    });
    Ok(stop)
}
