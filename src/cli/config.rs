//! Options from flags, environment and files, and what several commands need of them.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Arg, Args, Command};
use sqlx::{
    Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::embedded::{Instance, default_data_dir};
use uncloud_wire::{Secret, broker};

/// Longest wait for a server that is starting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle for less than this, a connection is taken to be alive; should it have ended just then, the request is answered 503.
const FRESH: Duration = Duration::from_millis(20);

/// The file of `--config`, before the command line is parsed for good.
pub(super) fn named_file(args: &[OsString]) -> Option<PathBuf> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == "--config" {
            return args.next().map(PathBuf::from);
        }
        if let Some(file) = text.strip_prefix("--config=") {
            return Some(PathBuf::from(file));
        }
    }
    std::env::var_os("UNCLOUD_CONFIG").map(PathBuf::from)
}

/// Makes the file's values the defaults of the options whose environment variables they name.
pub(super) fn with_file(command: Command, file: &Path) -> anyhow::Result<Command> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("can't read the configuration {}", file.display()))?;
    let mut values = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            bail!("line {} of {} is not of the form NAME=value", number + 1, file.display());
        };
        values.insert(name.trim().to_owned(), value.trim().trim_matches('"').to_owned());
    }
    Ok(defaults_from(command, &values))
}

fn defaults_from(command: Command, values: &HashMap<String, String>) -> Command {
    let value_of = |arg: &Arg| values.get(arg.get_env()?.to_str()?).cloned();
    command
        .mut_args(|arg| match value_of(&arg) {
            Some(value) => arg.default_value(value).required(false),
            None => arg,
        })
        .mut_subcommands(|subcommand| defaults_from(subcommand, values))
}

/// The value of a setting that can also come from a file; empty is as good as not set.
pub fn secret_or_file(
    name: &str,
    value: Option<Secret<String>>,
    file: Option<&Path>,
) -> anyhow::Result<Option<Secret<String>>> {
    let value = value.filter(|value| !value.expose().is_empty());
    let file = file.filter(|file| !file.as_os_str().is_empty());
    match (value, file) {
        (Some(_), Some(file)) => bail!("both {name} and {name}_FILE ({}) are set: leave one out", file.display()),
        (None, Some(file)) => match read_secret(file)? {
            Some(value) => Ok(Some(value)),
            None => bail!("{name}_FILE names {}, which is empty or not there", file.display()),
        },
        (value, None) => Ok(value),
    }
}

/// The secret in a file; none when the file is empty or not there.
pub(super) fn read_secret(path: &Path) -> anyhow::Result<Option<Secret<String>>> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(Secret::new(text.trim().to_owned()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// Which database.
#[derive(Debug, Clone, Args)]
pub(super) struct DatabaseArgs {
    /// PostgreSQL, as in postgres://uncloud@db.example.ch/uncloud?sslmode=verify-full
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<Secret<String>>,
    /// File with the URL of PostgreSQL.
    #[arg(long, global = true, env = "DATABASE_URL_FILE", value_name = "FILE")]
    database_url_file: Option<PathBuf>,
    /// Folder of a running `uncloud up`, whose database is meant when no other is named.
    #[arg(long, global = true, env = "UNCLOUD_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl DatabaseArgs {
    /// The URL, from wherever it was given.
    pub(super) fn url(&self) -> anyhow::Result<Secret<String>> {
        let named = secret_or_file("DATABASE_URL", self.database_url.clone(), self.database_url_file.as_deref())?;
        if let Some(url) = named {
            return Ok(url);
        }
        let data_dir = self.data_dir.clone().map_or_else(default_data_dir, Ok)?;
        let instance = Instance::running(&data_dir).context(
            "no database is named (DATABASE_URL, DATABASE_URL_FILE or --data-dir), and none is running here",
        )?;
        instance.database_url.context("`uncloud up` has not started its database yet; try again in a moment")
    }

    /// A few connections, for a command.
    pub(super) async fn connect(&self) -> anyhow::Result<PgPool> {
        connect(&self.url()?, 4).await
    }
}

/// Which Redis.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_field_names, reason = "clap makes the options' names of them")]
pub(super) struct RedisArgs {
    /// Redis, as in rediss://server:password@redis.example.ch
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    redis_url: Option<Secret<String>>,
    /// File with the URL of Redis.
    #[arg(long, env = "REDIS_URL_FILE", value_name = "FILE")]
    redis_url_file: Option<PathBuf>,
    /// Certificates (PEM) of the authority behind a rediss:// URL, instead of those that this machine trusts.
    #[arg(long, env = "REDIS_CA_FILE", value_name = "FILE")]
    redis_ca_file: Option<PathBuf>,
}

impl RedisArgs {
    /// The URL, from wherever it was given; none where it was not.
    pub(super) fn given(&self) -> anyhow::Result<Option<Secret<String>>> {
        secret_or_file("REDIS_URL", self.redis_url.clone(), self.redis_url_file.as_deref())
    }

    /// The URL, which must be given.
    pub(super) fn url(&self) -> anyhow::Result<Secret<String>> {
        self.given()?.context("no Redis is named; set REDIS_URL or REDIS_URL_FILE")
    }

    /// The authority, if it is not one of the machine's.
    pub(super) fn ca_file(&self) -> Option<PathBuf> {
        self.redis_ca_file.clone()
    }

    /// See [`broker::client`].
    pub(super) fn client(&self) -> anyhow::Result<redis::Client> {
        broker::client(&self.url()?, self.redis_ca_file.as_deref()).context("can't use REDIS_URL")
    }
}

/// Which key encrypts private keys at rest.
#[derive(Debug, Clone, Args)]
pub(super) struct SecretKeyArgs {
    /// 32 random bytes in base64; encrypts private keys at rest.
    #[arg(long, env = "UNCLOUD_SECRET_KEY", hide_env_values = true, value_name = "KEY")]
    secret_key: Option<Secret<String>>,
    /// File with the secret key.
    #[arg(long, env = "UNCLOUD_SECRET_KEY_FILE", value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
}

impl SecretKeyArgs {
    /// The key, from wherever it was given; none where it was not.
    pub(super) fn given(self) -> anyhow::Result<Option<Secret<String>>> {
        secret_or_file("UNCLOUD_SECRET_KEY", self.secret_key, self.secret_key_file.as_deref())
    }
}

/// Opens a pool of connections; the first one at once, so that a wrong URL shows.
pub async fn connect(url: &Secret<String>, connections: u32) -> anyhow::Result<PgPool> {
    let options: PgConnectOptions = url
        .expose()
        .parse()
        .context("DATABASE_URL is no URL of PostgreSQL, as in postgres://uncloud@localhost/uncloud")?;
    // A URL has an IPv6 address in brackets, and sqlx would look them up in DNS.
    let address = options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned);
    let options = match address {
        Some(address) => options.host(&address),
        None => options,
    };
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name(&program()), // as the audit log names it
    };
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECT_TIMEOUT)
        // Queries are short: compiling one would take longer than it runs.
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::query!("set jit = off").execute(connection).await.map(drop) })
        })
        // One that was in use a moment ago needs no question first, which would cost as much as a query.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for >= FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options.clone())
        .await;
    let pool = match pool {
        // A pool tries again while the server is starting or not there, and then knows only that time is up.
        Err(sqlx::Error::PoolTimedOut) => Err(why_not(&options).await),
        pool => pool,
    };
    pool.context("can't connect to PostgreSQL; check DATABASE_URL and that the server runs")
}

/// This program and its command.
fn program() -> String {
    let command = std::env::args().nth(1).filter(|word| !word.starts_with('-'));
    command.map_or_else(|| "uncloud".to_owned(), |command| format!("uncloud {command}"))
}

/// What a server answers that can't be connected to.
async fn why_not(options: &PgConnectOptions) -> sqlx::Error {
    match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Example {
        #[arg(long, env = "UNCLOUD_EXAMPLE_FOR_TESTS")]
        example: String,
    }

    #[test]
    fn a_file_fills_in_what_flags_and_environment_leave_open() {
        use clap::{CommandFactory as _, FromArgMatches as _};
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("uncloud.conf");
        std::fs::write(&file, "# comment\n\nUNCLOUD_EXAMPLE_FOR_TESTS=\"from file\"\n").expect("write");
        let parse = |args: &[&str]| {
            let matches = with_file(Example::command(), &file).expect("readable").get_matches_from(args);
            Example::from_arg_matches(&matches).expect("complete").example
        };
        assert_eq!(parse(&["x"]), "from file");
        assert_eq!(parse(&["x", "--example", "from flag"]), "from flag");
        std::fs::write(&file, "nonsense\n").expect("write");
        let error = with_file(Example::command(), &file).expect_err("no NAME=value").to_string();
        assert!(error.contains("line 1"), "{error}");
    }

    #[test]
    fn a_secret_comes_from_one_place() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("url");
        std::fs::write(&file, "from-file\n").expect("write");
        let value = || Some(Secret::new("from-env".to_owned()));
        let got = secret_or_file("X", None, Some(&file)).expect("file").expect("set");
        assert_eq!(got.expose(), "from-file");
        secret_or_file("X", value(), Some(&file)).expect_err("both");
        assert_eq!(secret_or_file("X", value(), None).expect("value"), value());
        assert_eq!(secret_or_file("X", Some(Secret::new(String::new())), None).expect("empty"), None);
        secret_or_file("X", None, Some(&folder.path().join("missing"))).expect_err("missing");
    }
}
