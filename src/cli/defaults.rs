//! `uncloud db-add-defaults`.

use clap::Args;
use sqlx::PgPool;

use super::config::DatabaseArgs;
use crate::{
    catalog,
    parties::{self, rates},
};

/// Options of `db-add-defaults`.
#[derive(Debug, Args)]
pub(super) struct DefaultsArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: DefaultsArgs) -> anyhow::Result<()> {
    add_defaults(&args.database.connect().await?).await
}

/// The schema, and the rows that a new installation starts with: the seller, the catalogue, VAT rates. What is there stays
/// as it is.
pub async fn add_defaults(pool: &PgPool) -> anyhow::Result<()> {
    crate::migrations::migrate(pool).await?;
    add_rows(pool).await
}

/// [`add_defaults`] without the schema.
pub async fn add_rows(pool: &PgPool) -> anyhow::Result<()> {
    parties::add_placeholder(pool).await?;
    catalog::add_defaults(pool).await?;
    rates::import_missing(pool).await?;
    Ok(())
}
