//! The command `uncloud migrate`.

use clap::Args;

use super::{config::DatabaseArgs, postgres::ensure_sessions};

/// Options of `migrate`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  uncloud migrate --database-url-file /etc/uncloud/database-url")]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: MigrateArgs) -> anyhow::Result<()> {
    let pool = args.database.connect().await?;
    ensure_sessions(&pool).await?;
    crate::migrations::migrate(&pool).await
}
