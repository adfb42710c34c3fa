//! Options from flags, environment and files, and what several commands need of them.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Arg, Args, Command};
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::secret::Secret;

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

/// A secret from an option, or from the file that another names.
pub(super) fn secret(value: Option<Secret<String>>, file: Option<&Path>) -> anyhow::Result<Option<Secret<String>>> {
    match (value, file) {
        (Some(value), _) => Ok(Some(value)),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("can't read the secret in {}", file.display()))?;
            Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())))
        }
        (None, None) => Ok(None),
    }
}

/// Which database.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// PostgreSQL, as in postgres://uncloud@db.example.ch/uncloud?sslmode=verify-full
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<Secret<String>>,
    /// File with the URL of PostgreSQL.
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    database_url_file: Option<PathBuf>,
}

impl DatabaseArgs {
    /// The URL, from wherever it was given.
    pub fn url(&self) -> anyhow::Result<Secret<String>> {
        secret(self.database_url.clone(), self.database_url_file.as_deref())?
            .context("no database is named; set DATABASE_URL or DATABASE_URL_FILE, or name the folder of a running `uncloud up` with --data-dir")
    }

    /// A few connections, for a command.
    pub async fn connect(&self) -> anyhow::Result<PgPool> {
        connect(&self.url()?, 4).await
    }
}

/// Opens a pool of connections; the first one at once, so that a wrong URL shows.
pub async fn connect(url: &Secret<String>, connections: u32) -> anyhow::Result<PgPool> {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        .connect(url.expose())
        .await
        .context("can't connect to PostgreSQL; check DATABASE_URL and that the server runs")
}
