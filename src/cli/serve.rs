//! `uncloud serve`: the API, and the control plane's side of the job runner.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::Args;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
};
use uncloud_wire::{Secret, broker, program::Failure};

use super::{
    config::{DatabaseArgs, RedisArgs, SecretKeyArgs, connect},
    front::{FrontArgs, TlsArgs},
    ldap::LdapArgs,
};
use crate::{
    accounts::{AccountSettings, Authenticator, Directory},
    dispatch::Kinds,
    error::Error,
    http::TrustedProxies,
    metrics::Metrics,
    queue::{self, Runner, Wake},
    schedule,
    seal::Sealer,
    server::{
        App, MetricsApi, Origin, RateLimits, keep_house,
        listen::{self, Limits, Listener, Tls, TlsFiles},
        listen_for_metrics, service,
    },
};

/// Connections to Postgres: relay, desk, schedules, events, sweep and listener hold six at times, the rest is for requests.
const CONNECTIONS: u32 = 24;

/// Options of `serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
SIGTERM and SIGINT end the server after the requests that it has begun.

Examples:
  uncloud serve --config /etc/uncloud/uncloud.env
  uncloud serve --listen '[::]:443' --tls-cert /etc/uncloud/tls.pem --tls-key /etc/uncloud/tls.key")]
pub(super) struct ServeArgs {
    /// Address and port of the API. A socket from systemd (LISTEN_FDS) takes its place.
    #[arg(long, env = "UNCLOUD_LISTEN", default_value = "127.0.0.1:8000", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Address and port of /metrics for Prometheus, without a password. Staff can read /metrics on the API's address as
    /// well.
    #[arg(long, env = "UNCLOUD_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
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

/// What a server needs to know.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// PostgreSQL.
    pub database_url: Secret<String>,
    /// Redis.
    pub redis_url: Secret<String>,
    /// The authority behind a `rediss://` URL, when it is not one that the machine trusts.
    pub redis_ca_file: Option<PathBuf>,
    /// See [`Sealer`].
    pub secret_key: Secret<String>,
    /// Port 0 takes any.
    pub listen: SocketAddr,
    /// Where `/metrics` is served without asking who reads it, besides for staff on `listen`.
    pub metrics_listen: Option<SocketAddr>,
    /// How users prove who they are.
    pub accounts: AccountSettings,
    /// Proxies in front.
    pub proxies: TrustedProxies,
    /// Whose pages may call the API from a browser.
    pub origins: Vec<Origin>,
    /// How often anybody may ask.
    pub rates: RateLimits,
    /// For https; none: http.
    pub tls: Option<TlsFiles>,
    /// What connections may take.
    pub limits: Limits,
}

pub(super) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let (proxies, origins, rates) = args.front.parts();
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
        limits: Limits::default(),
    };
    let (stop_in, stop) = watch::channel(false);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new requests, those under way are finished");
        stop_in.send_replace(true);
    });
    serve(settings, oneshot::channel().0, stop).await
}

/// Local users do not need the directory, so that it is away or does not know our password is no reason not to start.
async fn tell_if_silent(directory: Arc<Directory>) {
    if let Err(Error::Unavailable(cause)) = directory.probe().await {
        tracing::warn!(error = format!("{cause:#}"), "users of the directory can't log in yet");
    }
}

/// Serves until `stop` becomes true and the requests under way are answered. `ready` gets the bound address.
pub async fn serve(
    settings: ServeSettings,
    ready: oneshot::Sender<SocketAddr>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let sealer = Sealer::new(&settings.secret_key).context(Failure::usage("can't use UNCLOUD_SECRET_KEY"))?;
    let sealer = Arc::new(sealer);
    let redis = broker::client(&settings.redis_url, settings.redis_ca_file.as_deref());
    let redis = redis.context(Failure::usage("can't use REDIS_URL"))?;
    let pool = connect(&settings.database_url, CONNECTIONS).await?;
    let (wake, metrics): (Arc<Wake>, Arc<Metrics>) = (Arc::default(), Arc::default());
    if let Some(directory) = settings.accounts.directory.clone() {
        tokio::spawn(tell_if_silent(directory));
    }
    let proxies = Arc::new(settings.proxies);
    let app = App {
        authenticator: Arc::new(Authenticator::new(pool.clone(), settings.accounts).map_err(Error::from)?),
        proxies: Arc::clone(&proxies),
        origins: settings.origins,
        rates: settings.rates,
        pool: pool.clone(),
        redis: redis.clone(),
        sealer: Arc::clone(&sealer),
        wake: Arc::clone(&wake),
        metrics: Arc::clone(&metrics),
    };
    let tls = settings.tls.map(Tls::start).transpose()?;
    let listener = Listener::open(settings.listen).await?;
    let address = listener.address()?;
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
        let api = MetricsApi { pool: pool.clone(), redis, metrics };
        tasks.spawn(listen_for_metrics(address, api, stop.clone()).await?);
    }
    tracing::info!(%address, "serving; try /api/ and /docs");
    let _ = ready.send(address); // nobody may care
    listen::run(listener, service(&app)?, tls, settings.limits, &proxies, stop).await;
    while tasks.join_next().await.is_some() {}
    pool.close().await;
    Ok(())
}
