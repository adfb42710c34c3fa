//! The command `uncloud migrate`.

use clap::Args;

use super::config::DatabaseArgs;

/// Options of `migrate`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  uncloud migrate --database-url-file /etc/uncloud/database-url")]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: MigrateArgs) -> anyhow::Result<()> {
    crate::migrations::migrate(&args.database.connect().await?).await
}
