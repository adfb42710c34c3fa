//! The command line of `uncloud-worker`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use sqlx::PgPool;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use uncloud_wire::{KINDS, Kind, QueueName, Secret, broker, logging};

use crate::{
    handlers,
    host::{Host, Implementation, Restored},
    supervisor, worker,
};

/// Enough for as many bill transactions at a time as help.
const DATABASE_CONNECTIONS: u32 = 8;

/// Runs the jobs of queues; a VPN host's queue has the host's full name.
#[derive(Debug, Parser)]
#[command(
    name = "uncloud-worker",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "\
The first SIGTERM or SIGINT stops warm: running jobs are finished, others go back. The second stops at once; what was \
running is taken over by the next worker.

Examples:
  uncloud-worker --queue vpn-1.example.ch --broker-file /etc/uncloud/broker-url
  uncloud-worker -Q billing,vpn-1.example.ch -b redis://127.0.0.1:6379 -n worker1@%h -c 8 -f worker.log -l info
  uncloud-worker restore            at boot: tunnels are back before the control plane is"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Queue to work on; may be given several times, or as a list with commas.
    #[arg(short = 'Q', long = "queue", value_delimiter = ',', required = true, value_name = "NAME")]
    queues: Vec<QueueName>,
    /// Redis, as in rediss://user:password@redis.example.ch
    #[arg(short, long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    broker: Option<Secret<String>>,
    /// File with the URL of Redis, so that its password shows in no process list.
    #[arg(long, env = "REDIS_URL_FILE", value_name = "FILE")]
    broker_file: Option<PathBuf>,
    /// Certificates (PEM) of the authority behind a rediss:// URL, instead of those that this machine trusts.
    #[arg(long, env = "REDIS_CA_FILE", value_name = "FILE")]
    broker_ca_file: Option<PathBuf>,
    /// This worker's name; %h stands for the machine's.
    #[arg(short, long, env = "UNCLOUD_WORKER_NAME", default_value = "worker1@%h")]
    name: String,
    /// Jobs at the same time, for each queue.
    #[arg(short, long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    #[command(flatten)]
    host: HostArgs,
    /// PostgreSQL, for the queue `billing` only.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<Secret<String>>,
    /// File with the URL of PostgreSQL.
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    database_url_file: Option<PathBuf>,
    /// How the log is written.
    #[arg(long, env = "UNCLOUD_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    log_format: logging::Format,
    #[command(flatten)]
    log_file: logging::LogFileArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring all interfaces to their last known state, without the control plane. For the machine's boot.
    Restore(HostArgs),
}

#[derive(Debug, Args)]
struct HostArgs {
    /// Folder of the interfaces' last known states; only the worker's user needs to read it.
    #[arg(long, env = "UNCLOUD_STATE_DIR", default_value = "/etc/wireguard", value_name = "DIR")]
    state_dir: PathBuf,
    /// Who moves the packets.
    #[arg(long, env = "UNCLOUD_WIREGUARD_IMPLEMENTATION", default_value = "kernel", value_name = "NAME")]
    wireguard_implementation: WireguardImplementation,
    /// Run `ip`, `wg` and `wireguard-go` through `sudo -n`, for a worker without CAP_NET_ADMIN.
    #[arg(long, env = "UNCLOUD_SUDO")]
    sudo: bool,
    /// Configure nothing, and report this missing capability instead.
    #[arg(long, value_name = "WHAT_IS_MISSING")]
    dry_run: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WireguardImplementation {
    /// The kernel.
    Kernel,
    /// wireguard-go, where the kernel does not know WireGuard.
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

/// Runs what the command line says, and prints an error as one line.
pub async fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("uncloud-worker: {}", uncloud_wire::logging::one_line(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: impl IntoIterator<Item = OsString>) -> anyhow::Result<()> {
    let cli = uncloud::cli::parsed(Cli::try_parse_from(args))?;
    logging::init_with(cli.log_format, &cli.log_file)?;
    match cli.command {
        Some(Command::Restore(host)) => restore(host).await,
        None => work(cli).await,
    }
}

async fn restore(args: HostArgs) -> anyhow::Result<()> {
    let restored = args.host()?.restore().await?;
    let mut failed = 0;
    for Restored { interface, outcome } in &restored {
        if let Err(error) = outcome {
            tracing::error!(%interface, %error, "could not be restored");
            failed += 1;
        }
    }
    ensure!(failed == 0, "{failed} of {} interfaces could not be restored; the log says why", restored.len());
    tracing::info!(interfaces = restored.len(), "restored");
    Ok(())
}

async fn work(cli: Cli) -> anyhow::Result<()> {
    let redis = broker::client(&broker_url(cli.broker, cli.broker_file.as_deref())?, cli.broker_ca_file.as_deref())?;
    let name = cli.name.replace("%h", &nix::unistd::gethostname()?.to_string_lossy());
    tracing::info!(worker = name, queues = ?cli.queues.iter().map(QueueName::as_str).collect::<Vec<_>>(), concurrency = cli.concurrency, "working");
    let host = cli.host.host().map(Arc::new).map_err(|error| error.to_string());
    if let Err(missing) = &host {
        tracing::warn!(missing, "this machine can't serve VPN networks");
    }
    let database = if cli.queues.iter().any(QueueName::is_billing) {
        Some(database(cli.database_url, cli.database_url_file.as_deref()).await?)
    } else {
        None // whatever the environment says: a host has no business there
    };
    let context = handlers::Context { host, database };
    let settings = worker::Settings {
        redis,
        queues: cli.queues,
        name,
        concurrency: cli.concurrency.into(),
        kinds: KINDS.iter().copied().map(Kind::as_str).collect(),
        handler: Arc::new(move |envelope, control| Box::pin(handlers::handle(envelope, context.clone(), control))),
    };
    let stop = stop_signal()?;
    let supervised = tokio::spawn(supervisor::tell(stop.clone()));
    worker::run(settings, stop).await?;
    supervised.abort();
    tracing::info!("stopped: nothing was left undone");
    Ok(())
}

async fn database(url: Option<Secret<String>>, file: Option<&Path>) -> anyhow::Result<PgPool> {
    let url = uncloud::cli::secret_or_file("DATABASE_URL", url, file)?;
    let url = url.context("the queue billing needs the database; set DATABASE_URL or DATABASE_URL_FILE")?;
    uncloud::cli::connect(&url, DATABASE_CONNECTIONS).await
}

fn broker_url(url: Option<Secret<String>>, file: Option<&Path>) -> anyhow::Result<Secret<String>> {
    let url = uncloud::cli::secret_or_file("REDIS_URL", url, file)?;
    url.context("no broker is named; set REDIS_URL or REDIS_URL_FILE, or use --broker")
}

/// True after the first signal; the second ends the process.
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
        tracing::warn!("stopped at once; another worker takes over what was running");
        #[expect(clippy::disallowed_methods, reason = "nothing may hold up a cold stop")]
        std::process::exit(130);
    });
    Ok(stop)
}
