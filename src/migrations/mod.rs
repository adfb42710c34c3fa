//! The schema's migrations, and the only function that applies them.

mod access;
mod bridge;

pub use access::{Role, grant};

use anyhow::Context as _;
use sqlx::{Connection as _, PgPool, migrate::Migrate as _, migrate::Migrator};

/// The migrations in their order, to which new ones are only appended. Private, so that no caller bypasses the bridge.
static MIGRATIONS: Migrator = sqlx::migrate!();

/// Brings the schema up to date. Servers of any version that start at the same time wait for each other.
pub async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    migrate_to(pool, i64::MAX).await.context("could not bring the database's schema up to date")?;
    let version = MIGRATIONS.iter().map(|migration| migration.version).max();
    tracing::info!(version, "the schema is up to date");
    Ok(())
}

/// Stops after version `last`, so that a test of an earlier migration does not have to know the later ones.
///
/// Holds sqlx's own lock from the bridge's first query to the last migration; sqlx takes it a second time on the same
/// connection, which does not wait. The connection is detached from the pool, because after an error it still holds the
/// lock, which closing it releases.
pub async fn migrate_to(pool: &PgPool, last: i64) -> anyhow::Result<()> {
    let mut connection = pool.acquire().await?.detach();
    connection.lock().await?;
    bridge::cross(&mut connection, &MIGRATIONS).await?;
    MIGRATIONS.run_to(last, &mut connection).await?;
    connection.close().await?;
    Ok(())
}
