//! Users in Postgres.

use sqlx::PgPool;

use super::{User, Username, password};
use crate::secret::Secret;

/// What a login compares with.
pub(super) struct Login {
    pub user: User,
    pub password_hash: Option<String>,
}

pub(super) async fn login(pool: &PgPool, username: &Username) -> sqlx::Result<Option<Login>> {
    let row = sqlx::query!(
        "select user_id, username, staff, created_at, password_hash from users where username = $1",
        username.as_str()
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Login {
        user: User { user_id: row.user_id, username: row.username, staff: row.staff, created_at: row.created_at },
        password_hash: row.password_hash,
    }))
}

/// All users, by name.
pub async fn list(pool: &PgPool) -> sqlx::Result<Vec<User>> {
    sqlx::query_as!(User, "select user_id, username, staff, created_at from users order by username")
        .fetch_all(pool)
        .await
}

/// Prepares a user as a first login would. An existing one keeps what is not given; staff is only ever added.
pub async fn bootstrap(
    pool: &PgPool,
    username: &Username,
    staff: bool,
    new_password: Option<&Secret<String>>,
) -> anyhow::Result<User> {
    let hash = new_password.map(password::hash).transpose()?;
    let user = sqlx::query_as!(
        User,
        "insert into users (username, staff, password_hash) values ($1, $2, $3)
         on conflict (username) do update
         set staff = users.staff or excluded.staff, password_hash = coalesce(excluded.password_hash, users.password_hash)
         returning user_id, username, staff, created_at",
        username.as_str(),
        staff,
        hash,
    )
    .fetch_one(pool)
    .await?;
    Ok(user)
}

/// The staff user that `uncloud up` promises: exists and has this password.
pub async fn ensure_staff_user(pool: &PgPool, username: &Username, password: &Secret<String>) -> anyhow::Result<User> {
    if let Some(login) = login(pool, username).await?
        && login.user.staff
        && password::verify(password, login.password_hash.as_deref())
    {
        return Ok(login.user);
    }
    bootstrap(pool, username, true, Some(password)).await
}
