//! The queries on users.

use sqlx::{PgExecutor, PgPool};

use super::{ldap::DirectoryUser, password::NewPassword, user::UserBody};
use crate::{
    error::Error,
    http::{NamedPageQuery, PageQuery, check_if_match, in_order},
    request_context,
    user::{User, Username},
};

/// The stored data that a login is compared with.
pub(super) struct Login {
    pub user: User,
    pub password_hash: Option<String>,
    /// True if staff have locked the user.
    pub locked: bool,
}

pub(super) async fn login(pool: &PgPool, username: &Username) -> sqlx::Result<Option<Login>> {
    let row = sqlx::query!(
        "select user_id, username, staff, created_at, password_hash, locked from users where username = $1",
        username.as_str()
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Login {
        user: User { user_id: row.user_id, username: row.username, staff: row.staff, created_at: row.created_at },
        password_hash: row.password_hash,
        locked: row.locked,
    }))
}

/// Returns the user of that name.
pub async fn find(pool: &PgPool, username: &Username) -> sqlx::Result<Option<User>> {
    Ok(login(pool, username).await?.map(|login| login.user))
}

/// Returns the user of that name, as staff see it.
pub async fn find_body(pool: &PgPool, username: &Username) -> sqlx::Result<Option<UserBody>> {
    match find(pool, username).await? {
        Some(found) => user(pool, found.user_id).await,
        None => Ok(None),
    }
}

/// Returns all users as staff see them, by name.
pub async fn list(pool: &PgPool) -> sqlx::Result<Vec<UserBody>> {
    let mut users = users(pool, &Filter::default(), &PageQuery::all().into()).await?;
    users.sort_by(|a, b| a.username.cmp(&b.username));
    Ok(users)
}

/// Prepares a user as a first login would. A new password revokes the user's tokens. An existing user keeps properties that are not given; staff is only ever
/// added.
pub async fn bootstrap(
    pool: &PgPool,
    username: &Username,
    staff: bool,
    new_password: Option<&NewPassword>,
) -> anyhow::Result<User> {
    let before = login(pool, username).await?.and_then(|login| login.password_hash);
    // The password that the user already has is left as it is, with the tokens.
    let new_password = new_password.filter(|new| !before.is_some_and(|before| new.has_hash(&before)));
    let hash = new_password.map(NewPassword::hash).transpose()?;
    let user = sqlx::query_as!(
        User,
        "insert into users (username, staff_manual, password_hash) values ($1, $2, $3)
         on conflict (username) do update
         set staff_manual = users.staff_manual or excluded.staff_manual,
             password_hash = coalesce(excluded.password_hash, users.password_hash),
             staff_by_directory = users.staff_by_directory and excluded.password_hash is null
         returning user_id, username, staff, created_at",
        username.as_str(),
        staff,
        hash,
    )
    .fetch_one(pool)
    .await?;
    Ok(user)
}

/// Stores a user whom the directory has just confirmed: a new row at the first login; later only staff may change.
/// Returns none if the user is locked here, or if the name is that of a local user or of another entry before, who may be a
/// different person.
pub(super) async fn from_directory(pool: &PgPool, found: &DirectoryUser) -> sqlx::Result<Option<User>> {
    let user = sqlx::query_as!(
        User,
        "insert into users (username, staff_by_directory, directory_id) values ($1, $2, $3)
         on conflict (username) do update set staff_by_directory = excluded.staff_by_directory,
             directory_id = coalesce(excluded.directory_id, users.directory_id)
         where users.password_hash is null and not users.locked
             and (users.directory_id is null or excluded.directory_id is null or users.directory_id = excluded.directory_id)
         returning user_id, username, staff, created_at",
        found.username.as_str(),
        found.staff,
        found.id,
    )
    .fetch_optional(pool)
    .await?;
    if user.is_none() {
        tracing::warn!(username = %found.username, "login refused: the directory's user is locked here, a local user has the same \
             name, or the name was another entry's before (`uncloud user relink` if it is the same person, else `uncloud user \
             rename` for the old user)");
    }
    Ok(user)
}

/// Gives a user another name; returns false if that name is taken.
pub async fn rename(pool: &PgPool, user_id: i64, username: &Username) -> Result<bool, Error> {
    let mut tx = request_context::begin(pool).await?;
    let renamed = sqlx::query!(
        "update users set username = $2 where user_id = $1 and not exists (select from users where username = $2)",
        user_id,
        username.as_str()
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(renamed.rows_affected() == 1)
}

/// Forgets the directory's entry that a user had: the user is that of the entry with this name from the next login on.
pub async fn relink(pool: &PgPool, user_id: i64) -> Result<(), Error> {
    let mut tx = request_context::begin(pool).await?;
    sqlx::query!("update users set directory_id = null where user_id = $1", user_id).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

/// Sets a user's own password, which revokes the user's tokens; returns false for a user without a local password.
pub(super) async fn set_password(pool: &PgPool, user_id: i64, password_hash: &str) -> Result<bool, Error> {
    let mut tx = request_context::begin(pool).await?;
    let updated = sqlx::query!(
        "update users set password_hash = $2 where user_id = $1 and password_hash is not null",
        user_id,
        password_hash
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(updated.rows_affected() == 1)
}

/// Ensures that the staff user of `uncloud up` exists and has this password.
pub async fn ensure_staff_user(pool: &PgPool, username: &Username, password: &NewPassword) -> anyhow::Result<User> {
    if let Some(login) = login(pool, username).await?
        && login.user.staff
        && !login.locked
        && login.password_hash.is_some_and(|hash| password.has_hash(&hash))
    {
        return Ok(login.user);
    }
    let user = bootstrap(pool, username, true, Some(password)).await?;
    change(pool, None, user.user_id, &Change { locked: Some(false), ..Change::default() }).await?;
    Ok(user)
}

/// A filter for users; none matches all.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub username: Option<String>,
    pub staff: Option<bool>,
}

/// Returns a page of the users that match, with the limits that staff set.
pub(super) async fn users(
    db: impl PgExecutor<'_>,
    filter: &Filter,
    window: &NamedPageQuery,
) -> sqlx::Result<Vec<UserBody>> {
    in_order!(
        window,
        db,
        query_as<UserBody>,
        id "user_id",
        name "username",
        "select user_id as id, username, staff, locked, vpn_quota, payment_days, created_at from users
         where ($3::text is null or username = $3) and ($4::boolean is null or staff = $4)",
        filter.username,
        filter.staff,
    )
}

/// Returns one user.
pub(super) async fn user(db: impl PgExecutor<'_>, user_id: i64) -> sqlx::Result<Option<UserBody>> {
    Ok(users(db, &Filter::default(), &PageQuery::only(user_id).into()).await?.pop())
}

/// A change of a user; none leaves a property unchanged.
#[derive(Debug, Default)]
pub struct Change {
    /// The number of networks that the user may have.
    pub vpn_quota: Option<i32>,
    /// The days in which the customer is to pay a bill.
    pub payment_days: Option<i16>,
    /// True if the user is locked.
    pub locked: Option<bool>,
    /// True if staff made the user staff manually. The directory's staff are staff as well.
    pub staff: Option<bool>,
}

/// Changes the given properties. Requests of the user that have started, and long polls, still complete; the servers'
/// caches of the user expire within a minute. `asker` must therefore still be staff, unless the provider runs the
/// command at a terminal: of two staff members who lock each other out, one succeeds.
pub async fn change(pool: &PgPool, asker: Option<i64>, user_id: i64, change: &Change) -> Result<(), Error> {
    let mut tx = request_context::begin(pool).await?;
    let rows = sqlx::query!(
        "select user_id, staff and not locked as \"may!\" from users where user_id = $1 or user_id = $2
         order by user_id for no key update",
        user_id,
        asker,
    )
    .fetch_all(&mut *tx)
    .await?;
    if let Some(asker) = asker
        && !rows.iter().any(|row| row.user_id == asker && row.may)
    {
        return Err(Error::Forbidden("only staff may do this".into()));
    }
    check_if_match(async { user(&mut *tx, user_id).await?.ok_or(Error::PreconditionFailed) }).await?;
    sqlx::query!(
        "update users set vpn_quota = coalesce($2, vpn_quota), locked = coalesce($3, locked),
             staff_manual = coalesce($4, staff_manual), payment_days = coalesce($5, payment_days)
         where user_id = $1",
        user_id,
        change.vpn_quota,
        change.locked,
        change.staff,
        change.payment_days,
    )
    .execute(&mut *tx)
    .await?;
    Ok(tx.commit().await?)
}
