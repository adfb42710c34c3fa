//! Items that staff add to a customer's next bill, with their author and reason. An item that is not billed yet can
//! be voided; a billed item is reversed by another one of the opposite sign.

use sqlx::PgPool;

use super::db;
use crate::{
    billing::manual_item::{BillItem, NewItem},
    code::Code,
    error::Error,
    http::PageQuery,
    money::amount::Amount,
    orders, request_context,
};

/// Adds an item to the customer's next bill.
pub async fn add(pool: &PgPool, new: &NewItem) -> Result<BillItem, Error> {
    if new.net == Amount::ZERO {
        return Err(Error::field("net", "must not be 0.00"));
    }
    let mut tx = request_context::begin(pool).await?;
    db::require_user(&mut tx, new.user_id).await?;
    let item_id = db::insert_item(&mut tx, new).await?;
    let item = db::items(&mut *tx, new.user_id, Some(item_id), PageQuery::all()).await?.pop();
    tx.commit().await?;
    item.ok_or_else(|| not_found(item_id))
}

/// Lists a customer's items.
pub async fn list(pool: &PgPool, user_id: i64, window: PageQuery) -> Result<Vec<BillItem>, Error> {
    let mut connection = pool.acquire().await?;
    db::require_user(&mut connection, user_id).await?;
    Ok(db::items(&mut *connection, user_id, None, window).await?)
}

/// Voids an item that is not billed yet. The item stays in the list with the user who voided it; voiding it again
/// changes nothing.
pub async fn void(pool: &PgPool, user_id: i64, item_id: i64, staff: i64) -> Result<BillItem, Error> {
    let mut tx = request_context::begin(pool).await?;
    orders::lock_customer(&mut tx, user_id).await?; // a concurrent run has either billed the item or waits for this
    db::void_item(&mut tx, user_id, item_id, staff).await?;
    let item = db::items(&mut *tx, user_id, Some(item_id), PageQuery::all()).await?.pop();
    let item = item.ok_or_else(|| not_found(item_id))?;
    if item.voided_at.is_none() {
        let detail = format!("bill item {item_id} is already billed; add an item of {} to reverse it", -item.net);
        return Err(Error::Conflict { code: Code::ItemBilled, detail, field: None });
    }
    tx.commit().await?;
    Ok(item)
}

fn not_found(item_id: i64) -> Error {
    Error::NotFound(format!("the customer has no bill item {item_id}").into())
}
