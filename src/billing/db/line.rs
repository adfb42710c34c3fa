//! Lines that staff add by hand.

use sqlx::{PgConnection, PgExecutor};

use crate::{
    billing::line::{Line, NewLine},
    error::Error,
    http::{Window, in_order},
    money::amount::Amount,
};

pub(in crate::billing) async fn require_user(db: &mut PgConnection, user_id: i64) -> Result<(), Error> {
    let found = sqlx::query_scalar!("select user_id from users where user_id = $1", user_id).fetch_optional(db).await?;
    found.map(drop).ok_or_else(|| Error::NotFound(format!("there is no user {user_id}").into()))
}

pub(in crate::billing) async fn insert_line(tx: &mut PgConnection, new: &NewLine) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "insert into bill_manual_line (user_id, currency, description, net_cents, service_at, reason, author)
         values ($1, $2, $3, $4, coalesce($5, date_trunc('second', now())), $6, $7) returning line_id",
        new.user_id,
        new.currency.as_str(),
        new.description,
        new.net.cents(),
        new.service_at,
        new.reason,
        new.author
    )
    .fetch_one(tx)
    .await
}

/// A customer's lines by id, or one.
pub(in crate::billing) async fn lines(
    db: impl PgExecutor<'_>,
    user_id: i64,
    line_id: Option<i64>,
    window: Window,
) -> sqlx::Result<Vec<Line>> {
    in_order!(
        window,
        db,
        query_as<Line>,
        id "line_id",
        r#"select line_id, line.user_id, line.description, line.net_cents as "net: Amount", line.currency, service_at,
                  reason, author.username as author, line.created_at, bill_id as "bill_id?", withdrawn_at,
                  withdrawer.username as "withdrawn_by?"
           from bill_manual_line line
           join users author on author.user_id = line.author
           left join users withdrawer on withdrawer.user_id = line.withdrawn_by
           left join bill_record on manual_line_id = line_id and kind = 'manual'
           where line.user_id = $3 and ($4::bigint is null or line_id = $4)"#,
        user_id,
        line_id,
    )
}

/// Where it is neither billed nor withdrawn.
pub(in crate::billing) async fn withdraw_line(
    tx: &mut PgConnection,
    user_id: i64,
    line_id: i64,
    staff: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update bill_manual_line set withdrawn_at = now(), withdrawn_by = $3
         where user_id = $1 and line_id = $2 and not billed and withdrawn_at is null",
        user_id,
        line_id,
        staff
    )
    .execute(tx)
    .await
    .map(drop)
}
