//! Options that several commands share.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueHint, parser::ValueSource};
use sqlx::PgPool;
use uncloud_wire::{
    Secret, broker,
    program::{Failure, secret_or_file},
};

use super::postgres::connect;
use crate::embedded::{Instance, default_data_dir};

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
