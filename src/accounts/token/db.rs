//! The queries on tokens.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uncloud_wire::Secret;

use super::PREFIX_LEN;
use crate::{
    http::{PageQuery, Scope, Scopes, in_order},
    request_context,
    user::User,
};

/// The maximal number of tokens of a user.
pub(super) const MOST: i64 = 100;

/// A token as its user sees it.
pub(super) struct TokenRow {
    pub token_id: i64,
    pub name: String,
    pub prefix: String,
    pub scopes: Vec<Scope>,
    pub expires_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// A valid token with its user.
pub(in crate::accounts) struct Found {
    pub user: User,
    /// True if the user has a local password, so that no directory confirms the user.
    pub local: bool,
    pub scopes: Vec<Scope>,
    /// The seconds until the token expires.
    pub left_seconds: f64,
}

/// Returns the token with that secret, unless it has expired. Records its use.
pub(in crate::accounts) async fn find(pool: &PgPool, secret_hash: &[u8]) -> sqlx::Result<Option<Found>> {
    let row = sqlx::query!(
        r#"select token_id, scopes as "scopes: Vec<Scope>", user_id, username, staff, users.created_at,
                  password_hash is not null as "local!", extract(epoch from expires_at - now())::float8 as "left_seconds!",
                  coalesce(last_used_at < now() - interval '1 minute', true) as "unnoted!"
           from token join users using (user_id) where secret_hash = $1 and expires_at > now() and not locked"#,
        secret_hash
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    if row.unnoted {
        sqlx::query!("update token set last_used_at = now() where token_id = $1", row.token_id).execute(pool).await?;
    }
    let user = User { user_id: row.user_id, username: row.username, staff: row.staff, created_at: row.created_at };
    Ok(Some(Found { user, local: row.local, scopes: row.scopes, left_seconds: row.left_seconds }))
}

/// Returns the number of a user's tokens, and locks the user for the caller that adds one.
pub(super) async fn count(tx: &mut PgConnection, user_id: i64) -> sqlx::Result<i64> {
    sqlx::query!("select from users where user_id = $1 for no key update", user_id).fetch_optional(&mut *tx).await?;
    // This statement follows the lock, so that it sees the changes of the lock's last holder.
    sqlx::query_scalar!(r#"select count(*) as "count!" from token where user_id = $1"#, user_id).fetch_one(tx).await
}

pub(super) async fn insert(
    tx: &mut PgConnection,
    user_id: i64,
    name: &str,
    scopes: &Scopes,
    days: i32,
    (secret, secret_hash): (&Secret<String>, &[u8]),
) -> sqlx::Result<TokenRow> {
    let prefix = &secret.expose()[..PREFIX_LEN];
    sqlx::query_as!(
        TokenRow,
        r#"insert into token (user_id, name, secret_hash, prefix, scopes, expires_at)
           values ($1, $2, $3, $4, $5, now() + make_interval(days => $6))
           returning token_id, name, prefix, scopes as "scopes: Vec<Scope>", expires_at, last_used_at, created_at"#,
        user_id,
        name,
        secret_hash,
        prefix,
        &scopes.names() as &[&str],
        days,
    )
    .fetch_one(tx)
    .await
}

/// Returns a page of a user's tokens. Expired tokens are included until they are deleted.
pub(super) async fn tokens(db: impl PgExecutor<'_>, user_id: i64, window: PageQuery) -> sqlx::Result<Vec<TokenRow>> {
    in_order!(
        window,
        db,
        query_as<TokenRow>,
        id "token_id",
        r#"select token_id, name, prefix, scopes as "scopes: Vec<Scope>", expires_at, last_used_at, created_at
           from token where user_id = $3"#,
        user_id,
    )
}

/// Locks a token's row until the end of the transaction.
pub(super) async fn lock(tx: &mut PgConnection, token_id: i64) -> sqlx::Result<()> {
    sqlx::query!("select from token where token_id = $1 for update", token_id).fetch_optional(tx).await.map(drop)
}

/// Deletes a token; returns the hash of its secret.
pub(super) async fn delete(tx: &mut PgConnection, user_id: i64, token_id: i64) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar!(
        "delete from token where token_id = $1 and user_id = $2 returning secret_hash",
        token_id,
        user_id
    )
    .fetch_optional(tx)
    .await
}

/// Deletes tokens that expired a month ago, some of them at a time.
pub async fn forget_ended(pool: &PgPool) -> sqlx::Result<()> {
    let mut tx = request_context::begin(pool).await?;
    sqlx::query!(
        "delete from token where token_id in (
             select token_id from token where expires_at < now() - interval '30 days' limit 500 for update skip locked)"
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}
