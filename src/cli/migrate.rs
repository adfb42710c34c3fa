//! The command `uncloud migrate`.

use clap::Args;

use super::{config::DatabaseArgs, postgres::ensure_sessions};
use crate::migrations::{Role, grant, migrate};

/// Options of `migrate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  uncloud migrate --database-url-file /etc/uncloud/database-url\n  \
    uncloud migrate --database-url-file /root/owners-database-url --grant-to uncloud_api")]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Role of PostgreSQL that may then read and write the rows: `uncloud serve` connects as that role, which owns
    /// nothing.
    #[arg(long, value_name = "ROLE")]
    grant_to: Option<Role>,
}

pub(super) async fn run(args: MigrateArgs) -> anyhow::Result<()> {
    let pool = args.database.connect().await?;
    ensure_sessions(&pool).await?;
    migrate(&pool).await?;
    if let Some(role) = &args.grant_to {
        grant(&pool, role).await?;
    }
    Ok(())
}
