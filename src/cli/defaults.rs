//! `uncloud db-add-defaults`.

use clap::Args;
use sqlx::PgPool;

use super::config::DatabaseArgs;

/// Options of `db-add-defaults`.
#[derive(Debug, Args)]
pub(super) struct DefaultsArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: DefaultsArgs) -> anyhow::Result<()> {
    add_defaults(&args.database.connect().await?).await
}

/// The rows that a new installation starts with. A VPN host needs none; catalogue and VAT rates bring theirs.
pub async fn add_defaults(pool: &PgPool) -> anyhow::Result<()> {
    super::migrate::migrate(pool).await
}
