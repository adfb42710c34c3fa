//! Options that several commands share, and the connections that they open.

use std::{path::PathBuf, sync::OnceLock, time::Duration};

use anyhow::Context as _;
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueHint, parser::ValueSource};
use sqlx::{
    Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uncloud_wire::{
    Secret, broker,
    program::{Exit, Failure, secret_or_file},
};
use url::Url;

use crate::{
    database,
    embedded::{Instance, default_data_dir},
    error,
};

/// Longest wait for a server that is starting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Options that name a database.
#[derive(Debug, Clone, Args)]
struct DatabaseOptions {
    /// URL of PostgreSQL, as in postgres://uncloud@db.example.ch/uncloud?sslmode=verify-full
    #[arg(long, global = true, env = "DATABASE_URL", value_name = "URL", value_hint = ValueHint::Url)]
    database_url: Option<Secret<String>>,
    /// File with the URL of PostgreSQL.
    #[arg(long, global = true, env = "DATABASE_URL_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    database_url_file: Option<PathBuf>,
    /// Data folder of a running `uncloud up`: use its database unless another one is given [default: /var/lib/uncloud as
    /// root, else ~/.local/share/uncloud].
    #[arg(long, global = true, env = "UNCLOUD_DATA_DIR", value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: Option<PathBuf>,
}

/// The database of a command.
#[derive(Debug, Clone)]
pub(super) struct DatabaseArgs(DatabaseOptions);

impl FromArgMatches for DatabaseArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut options = DatabaseOptions::from_arg_matches(matches)?;
        let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        if typed("data_dir") && !typed("database_url") && !typed("database_url_file") {
            // An option takes precedence over the environment, even if the environment names the database in another
            // way.
            (options.database_url, options.database_url_file) = (None, None);
        }
        Ok(Self(options))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for DatabaseArgs {
    fn augment_args(command: Command) -> Command {
        DatabaseOptions::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        DatabaseOptions::augment_args_for_update(command)
    }
}

impl DatabaseArgs {
    /// Returns the URL from any of its sources.
    pub(super) fn url(&self) -> anyhow::Result<Secret<String>> {
        let DatabaseOptions { database_url, database_url_file, data_dir } = &self.0;
        if let Some(url) = secret_or_file("DATABASE_URL", database_url.clone(), database_url_file.as_deref())? {
            return Ok(url);
        }
        let data_dir = data_dir.clone().map_or_else(default_data_dir, Ok)?;
        let instance = Instance::running(&data_dir).with_context(|| {
            Failure::usage(
                "no database is given: set DATABASE_URL or DATABASE_URL_FILE, or name the folder of a running \
                 `uncloud up` with --data-dir",
            )
        })?;
        let started = instance.database_url;
        started.with_context(|| {
            Failure::no_response("`uncloud up` has not started its database yet; try again in a moment")
        })
    }

    /// Opens a few connections for a command.
    pub(super) async fn connect(&self) -> anyhow::Result<PgPool> {
        connect(&self.url()?, 4).await
    }
}

/// Options that name a Redis server.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_field_names, reason = "clap makes the options' names of them")]
pub(super) struct RedisArgs {
    /// URL of Redis, as in rediss://server:password@redis.example.ch
    #[arg(long, env = "REDIS_URL", value_name = "URL", value_hint = ValueHint::Url)]
    redis_url: Option<Secret<String>>,
    /// File with the URL of Redis.
    #[arg(long, env = "REDIS_URL_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    redis_url_file: Option<PathBuf>,
    /// Certificates (PEM) of the authority to trust for a rediss:// URL, instead of those of this machine.
    #[arg(long, env = "REDIS_CA_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    redis_ca_file: Option<PathBuf>,
}

impl RedisArgs {
    /// Returns the URL from any of its sources; `None` if it is not set.
    pub(super) fn given(&self) -> anyhow::Result<Option<Secret<String>>> {
        secret_or_file("REDIS_URL", self.redis_url.clone(), self.redis_url_file.as_deref())
    }

    /// Returns the URL; fails if it is not set.
    pub(super) fn url(&self) -> anyhow::Result<Secret<String>> {
        self.given()?
            .ok_or_else(|| Failure::usage("the URL of Redis is missing: set REDIS_URL or REDIS_URL_FILE").into())
    }

    /// Returns the certificate file of the authority, unless the system's authorities apply.
    pub(super) fn ca_file(&self) -> Option<PathBuf> {
        self.redis_ca_file.clone()
    }

    /// Creates a client; see [`broker::client`].
    pub(super) fn client(&self) -> anyhow::Result<redis::Client> {
        let client = broker::client(&self.url()?, self.redis_ca_file.as_deref());
        client.context(Failure::usage("can't use REDIS_URL"))
    }
}

/// Options with the key that encrypts private keys at rest.
#[derive(Debug, Clone, Args)]
pub(super) struct SecretKeyArgs {
    /// Key that encrypts private keys at rest: 32 random bytes in base64.
    #[arg(long, env = "UNCLOUD_SECRET_KEY", value_name = "KEY")]
    secret_key: Option<Secret<String>>,
    /// File with the secret key.
    #[arg(long, env = "UNCLOUD_SECRET_KEY_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    secret_key_file: Option<PathBuf>,
}

impl SecretKeyArgs {
    /// Returns the key from any of its sources; `None` if it is not set.
    pub(super) fn given(self) -> anyhow::Result<Option<Secret<String>>> {
        secret_or_file("UNCLOUD_SECRET_KEY", self.secret_key, self.secret_key_file.as_deref())
    }
}

/// Opens a connection pool; opens the first connection at once, so that a wrong URL fails immediately.
pub async fn connect(url: &Secret<String>, connections: u32) -> anyhow::Result<PgPool> {
    let options = options_of(url)?;
    // A URL has an IPv6 address in brackets, which sqlx would look up in DNS.
    let address = options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned);
    let options = match address {
        Some(address) => options.host(&address),
        None => options,
    };
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name(PROGRAM.get().map_or("uncloud", String::as_str)),
    };
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECT_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(drop) })
        })
        // A connection that was in use a moment ago is not tested first, which would cost as much as a query.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                // The server may have become a standby; a new connection finds the one that takes its place.
                if error::was_read_only_within(meta.age) {
                    return Ok(false);
                }
                if meta.idle_for >= database::FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options.clone())
        .await;
    let error = match pool {
        // A pool retries while the server is starting or unreachable, and then only reports the timeout.
        Err(sqlx::Error::PoolTimedOut) => connection_error(&options).await,
        Err(error) => error,
        Ok(pool) => {
            ensure_utf8(&pool).await?;
            return Ok(pool);
        }
    };
    let context = match &error {
        // The server has responded: it does not know the user, the password or the database.
        sqlx::Error::Database(refusal)
            if refusal.code().is_some_and(|code| ["28", "3D"].iter().any(|class| code.starts_with(class))) =>
        {
            Failure::new(
                Exit::Failed,
                "can't connect to PostgreSQL, which refuses the user, the password or the database; check DATABASE_URL",
            )
        }
        _ => Failure::no_response("can't connect to PostgreSQL; check DATABASE_URL and that the server is running"),
    };
    Err(anyhow::Error::new(error).context(context))
}

/// The settings of each session, whatever a role or a database has set: queries are short, so that compiling one would take
/// longer than running it, and the program has time limits of its own.
const SESSION: &str = "set jit = off; set statement_timeout = 0; set lock_timeout = 0; \
    set idle_in_transaction_session_timeout = 0";

/// Fails unless the database stores all texts.
async fn ensure_utf8(pool: &PgPool) -> anyhow::Result<()> {
    let encoding: String = sqlx::query_scalar("show server_encoding").fetch_one(pool).await?;
    if encoding == "UTF8" {
        return Ok(());
    }
    let what = format!(
        "the database has the encoding {encoding}, in which not all names can be stored; create one with \
         `create database uncloud encoding 'UTF8' template template0`"
    );
    Err(Failure::new(Exit::Failed, what).into())
}

/// The parameters that a URL of PostgreSQL may have; sqlx logs the value of any other one, which may be the rest of a
/// password.
const URL_PARAMETERS: [&str; 21] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    // Of libpq, without effect here.
    "channel_binding",
    "connect_timeout",
    "target_session_attrs",
];

/// Parses a URL of PostgreSQL. No error quotes it, since any part may belong to the password.
fn options_of(url: &Secret<String>) -> anyhow::Result<PgConnectOptions> {
    let wrong = || {
        Failure::usage(
            "DATABASE_URL must be a URL of PostgreSQL, as in postgres://uncloud:password@localhost/uncloud, with \
             characters such as / ? # @ in the password percent-encoded (/ as %2F)",
        )
    };
    let parsed = Url::parse(url.expose()).map_err(|_| wrong())?;
    let is_known = |name: &str| URL_PARAMETERS.contains(&name) || (name.starts_with("options[") && name.ends_with(']'));
    let database = parsed.path().trim_start_matches('/');
    let is_right = ["postgres", "postgresql"].contains(&parsed.scheme()) // sqlx accepts any scheme
        && parsed.query_pairs().all(|(name, _)| is_known(&name))
        && parsed.fragment().is_none()
        && !database.contains(['/', '@']);
    let options = is_right.then(|| url.expose().parse().ok()).flatten();
    Ok(options.ok_or_else(wrong)?)
}

/// Name of the program and its command in PostgreSQL and the audit log.
static PROGRAM: OnceLock<String> = OnceLock::new();

/// Sets the command that this process runs. Must be called once, before a connection is opened.
pub(super) fn set_program(name: String) {
    let _ = PROGRAM.set(name);
}

/// Connects once more, to return the server's actual error.
async fn connection_error(options: &PgConnectOptions) -> sqlx::Error {
    match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}
