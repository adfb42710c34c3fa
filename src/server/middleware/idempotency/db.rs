//! Idempotency keys and recorded responses in PostgreSQL.

use sqlx::PgPool;

use crate::request_context::IdempotencyAttempt;

/// Attempts older than this are dead if they have not changed anything: no request takes that long.
const GIVEN_UP_SECS: f64 = 60.0;
/// Maximum number of rows that one statement deletes.
const BATCH: i64 = 500;

/// The stored state of a key.
pub(super) struct KeyRecord {
    pub request_hash: Vec<u8>,
    pub changed: bool,
    /// True if its attempt is dead.
    pub given_up: bool,
    pub status: Option<i16>,
    pub location: Option<String>,
    pub content_type: Option<String>,
    pub body: Option<Vec<u8>>,
    pub body_key_id: Option<String>,
}

/// A response to be recorded.
pub(super) struct StoredResponse<'a> {
    pub status: i16,
    pub location: Option<&'a str>,
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
    pub body_key_id: &'a str,
}

/// Claims a key that is new, expired, or whose attempt died without changing anything. Does not wait for an attempt
/// that is in progress, whose transaction has the row locked.
pub(super) async fn claim(
    pool: &PgPool,
    user_id: i64,
    key: &str,
    request_hash: &[u8],
) -> sqlx::Result<Option<IdempotencyAttempt>> {
    let new = sqlx::query_scalar!(
        // Checked first: a conflict would wait for the transaction that is changing the row.
        "insert into idempotency (user_id, key, request_hash)
         select $1, $2, $3 where not exists (select from idempotency where user_id = $1 and key = $2)
         on conflict do nothing returning attempt",
        user_id,
        key,
        request_hash,
    )
    .fetch_optional(pool)
    .await?;
    let attempt = match new {
        Some(attempt) => Some(attempt),
        None => claim_again(pool, user_id, key, request_hash).await?,
    };
    Ok(attempt.map(|attempt| IdempotencyAttempt { user_id, key: key.to_owned(), attempt }))
}

async fn claim_again(pool: &PgPool, user_id: i64, key: &str, request_hash: &[u8]) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "update idempotency
         set request_hash = $3, attempt = default, claimed_at = now(), created_at = now(),
             changed = false, status = null, location = null, content_type = null, body = null, body_key_id = null
         where (user_id, key) in (
             select user_id, key from idempotency known
             where user_id = $1 and key = $2 and (created_at < now() - interval '24 hours'
                 or (request_hash = $3 and status is null and not changed
                     and claimed_at < now() - make_interval(secs => $4)))
             for update skip locked)
         returning attempt",
        user_id,
        key,
        request_hash,
        GIVEN_UP_SECS,
    )
    .fetch_optional(pool)
    .await
}

pub(super) async fn known(pool: &PgPool, user_id: i64, key: &str) -> sqlx::Result<Option<KeyRecord>> {
    sqlx::query_as!(
        KeyRecord,
        r#"select request_hash, changed, claimed_at < now() - make_interval(secs => $3) as "given_up!", status, location,
                  content_type, body, body_key_id
           from idempotency where user_id = $1 and key = $2"#,
        user_id,
        key,
        GIVEN_UP_SECS,
    )
    .fetch_optional(pool)
    .await
}

pub(super) async fn record(
    pool: &PgPool,
    attempt: &IdempotencyAttempt,
    response: &StoredResponse<'_>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update idempotency set status = $4, location = $5, content_type = $6, body = $7, body_key_id = $8
         where user_id = $1 and key = $2 and attempt = $3",
        attempt.user_id,
        attempt.key,
        attempt.attempt,
        response.status,
        response.location,
        response.content_type,
        response.body,
        response.body_key_id,
    )
    .execute(pool)
    .await
    .map(drop)
}

/// Releases the key of an attempt that has not changed anything.
pub(super) async fn release(pool: &PgPool, attempt: &IdempotencyAttempt) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from idempotency where user_id = $1 and key = $2 and attempt = $3 and not changed",
        attempt.user_id,
        attempt.key,
        attempt.attempt,
    )
    .execute(pool)
    .await
    .map(drop)
}

/// Deletes keys older than a day, in batches.
pub(in crate::server) async fn forget(pool: &PgPool) -> sqlx::Result<()> {
    loop {
        let forgotten = sqlx::query!(
            "delete from idempotency where (user_id, key) in (
                 select user_id, key from idempotency where created_at < now() - interval '24 hours'
                 limit $1 for update skip locked)",
            BATCH
        )
        .execute(pool)
        .await?;
        if forgotten.rows_affected() < BATCH.unsigned_abs() {
            return Ok(());
        }
    }
}
