//! `uncloud migrate`.

use anyhow::Context as _;
use clap::Args;
use sqlx::PgPool;

use super::config::DatabaseArgs;

/// Options of `migrate`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  uncloud migrate --database-url-file /etc/uncloud/database-url")]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: MigrateArgs) -> anyhow::Result<()> {
    migrate(&args.database.connect().await?).await
}

/// Applies the missing migrations. Concurrent calls wait for each other.
pub async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    crate::MIGRATIONS.run(pool).await.context("the database's schema could not be brought up to date")?;
    tracing::info!(
        version = crate::MIGRATIONS.iter().map(|migration| migration.version).max(),
        "the schema is up to date"
    );
    Ok(())
}
