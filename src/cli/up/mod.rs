//! `uncloud up`: the whole provider on one machine, from nothing.

mod api;
mod hosts;
mod secrets;
mod settings;
mod stack;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use self::settings::Settings;
use self::stack::Stack;
use crate::{
    cli::{
        config::{RedisArgs, SecretKeyArgs},
        front::FrontArgs,
        ldap::LdapArgs,
    },
    embedded::{DataDir, Registry, end_leftovers},
};
use uncloud_wire::Secret;

/// Signals this close together are one wish: `timeout` and some supervisors send theirs to the process and to its group.
const SAME_WISH: Duration = Duration::from_millis(500);

const EXAMPLE: &str = "\
Example: two VPN hosts on this machine, each in a network namespace of its own
    uncloud up --queue $(hostname) --queue vpn-2a0ae5c1200.ungleich.ch

PostgreSQL and Redis are started as private child processes. DATABASE_URL and REDIS_URL take their place; the user of
that Redis is the workers' as well, so it needs
  ~uncloud:* +@stream +ping +scan +evalsha +script|load +multi +exec
Without a secret key, DIR/secret-key is used, which the first start makes.";

/// Runs everything on this machine: PostgreSQL, Redis, the API and a worker for each host.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct UpArgs {
    /// Folder for all data [default: /var/lib/uncloud as root, else ~/.local/share/uncloud].
    #[arg(long, env = "UNCLOUD_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Address and port of the API; port 0 takes any free one.
    #[arg(long, env = "UNCLOUD_LISTEN", default_value = "127.0.0.1:8000", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,

    /// Serves https, with a certificate for localhost from an authority of its own: trust DIR/tls/ca.pem, which the first
    /// start makes.
    #[arg(long, env = "UNCLOUD_TLS")]
    tls: bool,

    /// Address to serve /metrics on for a Prometheus that is no member of staff; whoever reaches it may read.
    #[arg(long, env = "UNCLOUD_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,

    /// Host to start a worker for; may be repeated [default: this machine's name].
    #[arg(long = "queue", value_name = "HOST")]
    queues: Vec<String>,

    /// Lets the workers configure this machine's own network instead of a namespace per host.
    #[arg(long)]
    host_network: bool,

    /// User for PostgreSQL and Redis when started as root [default: uncloud, postgres or nobody].
    #[arg(long, env = "UNCLOUD_RUN_AS", value_name = "USER")]
    run_as: Option<String>,

    /// PostgreSQL to use instead of a private one.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<Secret<String>>,

    /// File with that URL.
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    database_url_file: Option<PathBuf>,

    #[command(flatten)]
    redis: RedisArgs,

    /// Password of the staff user `admin` [default: random, kept in DIR/admin-password].
    #[arg(long, env = "UNCLOUD_ADMIN_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    admin_password: Option<Secret<String>>,

    /// File with that password.
    #[arg(long, env = "UNCLOUD_ADMIN_PASSWORD_FILE", value_name = "FILE")]
    admin_password_file: Option<PathBuf>,

    #[command(flatten)]
    secret_key: SecretKeyArgs,

    #[command(flatten)]
    front: FrontArgs,

    #[command(flatten)]
    ldap: LdapArgs,
}

/// Runs until a signal ends it. Whatever happens after the data folder is locked, what was started is ended again.
pub async fn up(args: UpArgs) -> anyhow::Result<()> {
    let settings = Settings::from_args(args)?;
    let (stop, hurry) = end_signals()?;
    let data_dir = DataDir::lock(&settings.data_dir)?;
    end_leftovers(&data_dir).await?;
    let registry = Arc::new(Registry::create(&data_dir)?);
    let mut stack = Stack::new(data_dir, registry, hurry);
    let outcome = stack.run(&settings, stop).await;
    stack.end().await;
    outcome
}

/// The first SIGINT, SIGTERM or SIGHUP says stop, the next says hurry.
fn end_signals() -> anyhow::Result<(watch::Receiver<bool>, watch::Receiver<bool>)> {
    let listen = |kind| signal(kind).context("listening for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let ((stop, stopped), (hurry, hurried)) = (watch::channel(false), watch::channel(false));
    tokio::spawn(async move {
        let mut first = None;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            if stop.send_replace(true) {
                if first.is_some_and(|first: Instant| first.elapsed() < SAME_WISH) {
                    continue;
                }
                tracing::warn!("asked to end again: not waiting for running work any more");
                hurry.send_replace(true);
            } else {
                first = Some(Instant::now());
                tracing::info!("asked to end: ending everything in order (once more to hurry)");
            }
        }
    });
    Ok((stopped, hurried))
}
