//! Bill items that staff add manually.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::{
    billing::manual_item::{BillItem, NewItem},
    error::Error,
    http::{PageQuery, in_order},
    money::amount::Amount,
};

pub(in crate::billing) async fn require_user(db: &mut PgConnection, user_id: i64) -> Result<(), Error> {
    let found = sqlx::query_scalar!("select user_id from users where user_id = $1", user_id).fetch_optional(db).await?;
    found.map(drop).ok_or_else(|| Error::NotFound(format!("user {user_id} not found").into()))
}

pub(in crate::billing) async fn insert_item(
    tx: &mut PgConnection,
    new: &NewItem,
    service_at: Option<DateTime<Utc>>,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "insert into bill_item (user_id, currency, description, net_cents, service_at, reason, created_by, reverses)
         values ($1, $2, $3, $4, coalesce($5, date_trunc('second', now())), $6, $7, $8) returning item_id",
        new.user_id,
        new.currency.as_str(),
        new.description,
        new.net.cents(),
        service_at,
        new.reason,
        new.created_by,
        new.reverses
    )
    .fetch_one(tx)
    .await
}

/// Returns true if an item is reversed by another one that is not voided.
pub(in crate::billing) async fn is_reversed(tx: &mut PgConnection, item_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from bill_item where reverses = $1 and voided_at is null) as "exists!""#,
        item_id
    )
    .fetch_one(tx)
    .await
}

/// Returns a page of a customer's items.
pub(in crate::billing) async fn items(
    db: impl PgExecutor<'_>,
    user_id: i64,
    window: PageQuery,
) -> sqlx::Result<Vec<BillItem>> {
    in_order!(
        window,
        db,
        query_as<BillItem>,
        id "item.item_id",
        r#"select item.item_id, item.user_id, item.description, item.net_cents as "net: Amount", item.currency,
                  service_at, reason, author.username as created_by, item.created_at, bill_id as "bill_id?", reverses, voided_at,
                  voider.username as "voided_by?"
           from bill_item item
           join users author on author.user_id = item.created_by
           left join users voider on voider.user_id = item.voided_by
           left join bill_record on bill_record.item_id = item.item_id and kind = 'manual'
           where item.user_id = $3"#,
        user_id,
    )
}

/// Voids an item, unless it is billed or voided.
pub(in crate::billing) async fn void_item(
    tx: &mut PgConnection,
    user_id: i64,
    item_id: i64,
    staff: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update bill_item set voided_at = now(), voided_by = $3
         where user_id = $1 and item_id = $2 and not billed and voided_at is null",
        user_id,
        item_id,
        staff
    )
    .execute(tx)
    .await
    .map(drop)
}
