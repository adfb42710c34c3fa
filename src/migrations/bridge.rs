//! The bridge from the 25 migrations 0001 to 0038 to the ten that replaced them and create the same schema. A database
//! that has exactly the 25 is recorded as having the ten: only rows of `_sqlx_migrations` change.
//!
//! Delete this file, `before_0101.txt` and `catalogue.sql` when no database has the 25 any more.

use std::{collections::HashMap, fmt::Write as _};

use anyhow::bail;
use ring::digest::{SHA256, digest};
use sqlx::{
    Connection as _, PgConnection,
    migrate::{Migrate as _, Migrator},
};

/// The last of the ten migrations; sqlx applies the later ones.
const LAST_OF_THE_TEN: i64 = 110;

/// Hashes of the 25 migrations and of the objects that they created, each on a line with the name. The hash of
/// `migration N` is sqlx's checksum of its file, that of an object the SHA-256 of its definition in [`CATALOGUE`].
const BEFORE: &str = include_str!("before_0101.txt");

/// A query that describes the schema: one row for each object, with its name and its definition.
const CATALOGUE: &str = include_str!("catalogue.sql");

/// Settings that change the texts of definitions. The search path is the schema of `_sqlx_migrations`, so that no
/// definition contains its name.
const PLAIN: &str = "
    set local datestyle = 'ISO, YMD';
    set local intervalstyle = postgres;
    set local quote_all_identifiers = off;
    set local standard_conforming_strings = on;
    select set_config('search_path', relnamespace::regnamespace::text, true)
        from pg_class where oid = to_regclass('_sqlx_migrations')";

/// Replaces the records of the 25 by those of the ten, if the database has exactly the 25 and the schema is unchanged
/// since. Fails if some of the 25 are missing, or the schema was changed. Leaves everything else to sqlx: an empty
/// database, one that has the ten, and one with migrations that this program does not know. The caller holds sqlx's
/// lock.
pub(super) async fn cross(connection: &mut PgConnection, migrations: &Migrator) -> anyhow::Result<()> {
    let mut transaction = connection.begin().await?;
    match missing(&applied(&mut transaction).await?) {
        None => return Ok(transaction.rollback().await?),
        Some(missing) if missing.is_empty() => {}
        Some(missing) => bail!(
            "it lacks {} of the migrations up to 0038, and this version continues from 0038; run `uncloud migrate` of commit \
             be43d43, the last one whose migrations end at 0038, then this version again",
            list(missing.iter().map(|version| format!("{version:04}")))
        ),
    }
    let changed = changed(&mut transaction).await?;
    if !changed.is_empty() {
        bail!(
            "it was changed since migration 0038 made it, and this version continues from there; undo the changes of {}, \
             then start again",
            list(changed.into_iter())
        );
    }
    sqlx::query("delete from _sqlx_migrations").execute(&mut *transaction).await?;
    for migration in migrations.iter().filter(|migration| migration.version <= LAST_OF_THE_TEN) {
        transaction.skip("_sqlx_migrations", migration).await?;
    }
    transaction.commit().await?;
    tracing::info!("migrations 0001 to 0038 are now recorded as 0101 to 0110, which create the same schema");
    Ok(())
}

/// Reads the records of migrations: version, checksum and success.
async fn applied(connection: &mut PgConnection) -> sqlx::Result<Vec<(i64, Vec<u8>, bool)>> {
    let exists = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null");
    if !exists.fetch_one(&mut *connection).await? {
        return Ok(Vec::new());
    }
    sqlx::query_as("select version, checksum, success from _sqlx_migrations").fetch_all(connection).await
}

/// Returns the versions of the 25 that have no record; `None` if any other migration has one, or none has.
fn missing(applied: &[(i64, Vec<u8>, bool)]) -> Option<Vec<i64>> {
    let mut missing: HashMap<i64, &str> =
        before().filter_map(|(hash, name)| Some((name.strip_prefix("migration ")?.parse().ok()?, hash))).collect();
    for (version, checksum, success) in applied {
        let known = missing.remove(version)?;
        if !success || hex(checksum) != known {
            return None;
        }
    }
    let mut missing: Vec<i64> = missing.into_keys().collect();
    missing.sort_unstable();
    (!applied.is_empty()).then_some(missing)
}

/// Returns the names of objects that are missing or have another definition. Additional objects are the operator's own
/// and do not count: tables, functions, indexes that are not unique. Additional columns, constraints, unique indexes
/// and triggers of one of the schema's tables do, because they are part of that table's definition.
async fn changed(connection: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::raw_sql(PLAIN).execute(&mut *connection).await?;
    let objects: Vec<(String, String)> = sqlx::query_as(CATALOGUE).fetch_all(connection).await?;
    let hashes: HashMap<String, String> = objects
        .into_iter()
        .map(|(name, definition)| (name, hex(digest(&SHA256, definition.as_bytes()).as_ref())))
        .collect();
    let unlike = |(hash, name): &(&str, &str)| {
        !name.starts_with("migration ") && hashes.get(*name).is_none_or(|found| found != hash)
    };
    Ok(before().filter(unlike).map(|(_, name)| name.to_owned()).collect())
}

fn before() -> impl Iterator<Item = (&'static str, &'static str)> {
    BEFORE.lines().filter_map(|line| line.split_once(' '))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn list(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
