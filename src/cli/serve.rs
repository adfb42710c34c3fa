//! The command `uncloud serve`: the API, and the control plane's side of the job runner.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::Args;
use futures_util::future::BoxFuture;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
};
use uncloud_wire::{
    Secret, broker,
    program::{Failure, address},
};

use super::{
    config::{DatabaseArgs, RedisArgs, SecretKeyArgs},
    front::{Front, FrontArgs, TlsArgs},
    ldap::LdapArgs,
    postgres::{connect, ensure_sessions},
};
use crate::{
    accounts::{AccountSettings, Authenticator, Directory},
    database::Database,
    dispatch::Kinds,
    error::Error,
    http::TrustedProxies,
    metrics::Metrics,
    queue::{self, Notifier, Runner},
    schedule,
    seal::Sealer,
    server::{
        App, MetricsApi, Origin, RateLimits, keep_house,
        listen::{self, Limits, Listener, Tls, TlsFiles},
        listen_for_metrics, service,
    },
};

/// Connections to PostgreSQL: relay, server jobs, schedules, events, rescuer and listener use up to six, requests the
/// rest.
const CONNECTIONS: u32 = 24;

/// Options of `serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
On SIGTERM and SIGINT the server finishes the requests in progress, then exits.

Examples:
  uncloud serve --config /etc/uncloud/uncloud.env
  uncloud serve --listen '[::]:443' --tls-cert /etc/uncloud/tls.pem --tls-key /etc/uncloud/tls.key")]
pub(super) struct ServeArgs {
    /// Address and port of the API. A socket from systemd (LISTEN_FDS) takes its place.
    #[arg(long, env = "UNCLOUD_LISTEN", default_value = "127.0.0.1:8000", value_name = "ADDRESS:PORT", value_parser = address)]
    listen: SocketAddr,
    /// Address and port of /metrics for Prometheus, without a password. Staff can read /metrics on the API's address as
    /// well.
    #[arg(long, env = "UNCLOUD_METRICS_LISTEN", value_name = "ADDRESS:PORT", value_parser = address)]
    metrics_listen: Option<SocketAddr>,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    redis: RedisArgs,
    #[command(flatten)]
    secret_key: SecretKeyArgs,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    front: FrontArgs,
    #[command(flatten)]
    ldap: LdapArgs,
}

/// Settings of a server.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// URL of PostgreSQL.
    pub database_url: Secret<String>,
    /// URL of Redis.
    pub redis_url: Secret<String>,
    /// Certificate file of the authority for a `rediss://` URL, unless the system's authorities apply.
    pub redis_ca_file: Option<PathBuf>,
    /// Key that encrypts private keys at rest; see [`Sealer`].
    pub secret_key: Secret<String>,
    /// Address of the API; port 0 selects any free port.
    pub listen: SocketAddr,
    /// Separate address where `/metrics` is served without authentication, in addition to `listen`, where staff can
    /// read it.
    pub metrics_listen: Option<SocketAddr>,
    /// Settings of authentication.
    pub accounts: AccountSettings,
    /// Reverse proxies whose headers are trusted.
    pub proxies: TrustedProxies,
    /// Web origins whose pages may call the API from a browser.
    pub origins: Vec<Origin>,
    /// Request rate limits.
    pub rates: RateLimits,
    /// Certificate and key for https; `None` for http.
    pub tls: Option<TlsFiles>,
    /// True if http may be served to other machines.
    pub allow_plaintext: bool,
    /// Limits on connections.
    pub limits: Limits,
}

pub(super) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let Front { proxies, origins, rates, allow_plaintext } = args.front.front();
    let settings = ServeSettings {
        database_url: args.database.url()?,
        redis_url: args.redis.url()?,
        redis_ca_file: args.redis.ca_file(),
        secret_key: args.secret_key.given()?.ok_or_else(|| {
            Failure::usage(
                "no secret key is given: set UNCLOUD_SECRET_KEY or UNCLOUD_SECRET_KEY_FILE (create one with `openssl \
                 rand -base64 32`)",
            )
        })?,
        listen: args.listen,
        metrics_listen: args.metrics_listen,
        accounts: AccountSettings { directory: args.ldap.directory()?, ..AccountSettings::default() },
        proxies,
        origins,
        rates,
        tls: args.tls.files()?,
        allow_plaintext,
        limits: Limits::default(),
    };
    let (stop_in, stop) = watch::channel(false);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing the requests in progress, accepting no new ones");
        stop_in.send_replace(true);
    });
    serve(settings, oneshot::channel().0, stop).await
}

/// Warns if the directory does not respond. Local users do not need it, so the server starts even if the directory is
/// unreachable or refuses the bind password.
async fn tell_if_silent(directory: Arc<Directory>) {
    if let Err(Error::Unavailable(cause)) = directory.probe().await {
        tracing::warn!(error = format!("{cause:#}"), "users of the directory can't sign in yet");
    }
}

/// Serves until `stop` becomes true and the requests in progress have been responded to. `ready` gets the bound
/// address.
///
/// Boxed, so that the server is compiled once, here, and not again in each program that starts one.
pub fn serve(
    settings: ServeSettings,
    ready: oneshot::Sender<SocketAddr>,
    stop: watch::Receiver<bool>,
) -> BoxFuture<'static, anyhow::Result<()>> {
    Box::pin(serve_until(settings, ready, stop))
}

async fn serve_until(
    settings: ServeSettings,
    ready: oneshot::Sender<SocketAddr>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let sealer = Sealer::new(&settings.secret_key).context(Failure::usage("can't use UNCLOUD_SECRET_KEY"))?;
    let sealer = Arc::new(sealer);
    let redis = broker::client(&settings.redis_url, settings.redis_ca_file.as_deref());
    let redis = redis.context(Failure::usage("can't use REDIS_URL"))?;
    let pool = connect(&settings.database_url, CONNECTIONS).await?;
    ensure_sessions(&pool).await?;
    let database = Database::from(pool.clone());
    let (wake, metrics): (Arc<Notifier>, Arc<Metrics>) = (Arc::default(), Arc::default());
    if let Some(directory) = settings.accounts.directory.clone() {
        tokio::spawn(tell_if_silent(directory));
    }
    let proxies = Arc::new(settings.proxies);
    let app = App {
        authenticator: Arc::new(Authenticator::new(pool.clone(), settings.accounts).map_err(Error::from)?),
        proxies: Arc::clone(&proxies),
        origins: settings.origins,
        rates: settings.rates,
        pool: database.clone(),
        redis: redis.clone(),
        sealer: Arc::clone(&sealer),
        wake: Arc::clone(&wake),
        metrics: Arc::clone(&metrics),
    };
    let tls = settings.tls.map(Tls::start).transpose()?;
    let listener = Listener::open(settings.listen).await?;
    let address = listener.address()?;
    if tls.is_none() && !settings.allow_plaintext && !address.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "passwords would be sent to {address} unencrypted: set UNCLOUD_TLS_CERT_FILE and UNCLOUD_TLS_KEY_FILE, listen on \
             127.0.0.1 behind a proxy with TLS, or allow it with --allow-plaintext (UNCLOUD_ALLOW_PLAINTEXT)"
        ))
        .into());
    }
    let kinds = Arc::new(Kinds { sealer });
    let runner = Runner {
        pool: pool.clone(),
        redis: redis.clone(),
        kinds,
        wake: Arc::clone(&wake),
        metrics: Arc::clone(&metrics),
    };
    let mut tasks = queue::start(&runner, &stop);
    tasks.spawn(schedule::run(pool.clone(), wake, stop.clone()));
    tasks.spawn(keep_house(pool.clone(), stop.clone()));
    if let Some(address) = settings.metrics_listen {
        let api = MetricsApi::new(pool.clone(), redis, metrics);
        tasks.spawn(listen_for_metrics(address, api, stop.clone()).await?);
    }
    tracing::info!(%address, "serving; try /api/ and /docs");
    let _ = ready.send(address); // the receiver may be gone
    listen::run(listener, service(&app)?, tls, settings.limits, &proxies, stop).await;
    while tasks.join_next().await.is_some() {}
    database.close().await;
    Ok(())
}
