//! The command `uncloud db-add-defaults`.

use clap::Args;
use sqlx::PgPool;

use super::{config::DatabaseArgs, postgres::ensure_sessions};
use crate::{
    catalog,
    parties::{self, rates},
};

/// Options of `db-add-defaults`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  DATABASE_URL=postgres://uncloud@localhost/uncloud uncloud db-add-defaults")]
pub(super) struct DefaultsArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: DefaultsArgs) -> anyhow::Result<()> {
    let pool = args.database.connect().await?;
    ensure_sessions(&pool).await?;
    add_defaults(&pool).await
}

/// Migrates the schema and adds the rows that a new installation starts with: seller, catalogue, VAT rates. Existing rows
/// stay as they are.
pub async fn add_defaults(pool: &PgPool) -> anyhow::Result<()> {
    crate::migrations::migrate(pool).await?;
    add_rows(pool).await
}

/// Does the same as [`add_defaults`] without migrating the schema.
pub async fn add_rows(pool: &PgPool) -> anyhow::Result<()> {
    parties::add_placeholder(pool).await?;
    catalog::add_defaults(pool).await?;
    rates::import_missing(pool).await?;
    Ok(())
}
