//! The connections to PostgreSQL that the commands open.

use std::{sync::OnceLock, time::Duration};

use sqlx::{
    Connection as _, Executor as _, PgConnection, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;
use uncloud_wire::{
    Secret,
    program::{Exit, Failure},
};
use url::Url;

use crate::{database, error};

/// Longest wait for a server that is starting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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

/// Fails behind a pooler that makes another session of a connection for each transaction (PgBouncer with
/// `pool_mode = transaction`): settings, locks and prepared statements would be gone at random.
pub(super) async fn ensure_sessions(pool: &PgPool) -> anyhow::Result<()> {
    let what = "DATABASE_URL leads to a pooler that changes the session between transactions; set pool_mode = session in \
                PgBouncer, or connect to PostgreSQL itself";
    let refused = || anyhow::Error::from(Failure::new(Exit::Failed, what));
    // A pooler with a single session lets the second connection wait for the end of the first one's transaction.
    let kept = timeout(CONNECT_TIMEOUT, keeps_sessions(pool)).await.map_err(|_| refused())??;
    if kept { Ok(()) } else { Err(refused()) }
}

async fn keeps_sessions(pool: &PgPool) -> sqlx::Result<bool> {
    async fn backend(connection: &mut PgConnection) -> sqlx::Result<i32> {
        sqlx::raw_sql("select pg_backend_pid()").fetch_one(connection).await?.try_get(0)
    }
    let (mut one, mut other) = (pool.acquire().await?, pool.acquire().await?);
    // The first is in a transaction, so the other can't have its session. Afterwards both are free: such a pooler gives the
    // other one first that of the first, whether it takes the session that was used last or the one that rested longest.
    // Three times, because other programs may use the pooler at this moment.
    for _ in 0..3 {
        one.execute("begin").await?;
        let session = backend(&mut other).await?;
        one.execute("commit").await?;
        if backend(&mut other).await? != session || backend(&mut other).await? != session {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Fails unless the database stores all texts.
async fn ensure_utf8(pool: &PgPool) -> anyhow::Result<()> {
    // Not prepared: a pooler without sessions is refused for that, and not for what it does to prepared statements.
    let encoding: String = sqlx::raw_sql("show server_encoding").fetch_one(pool).await?.try_get(0)?;
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
    match timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}
