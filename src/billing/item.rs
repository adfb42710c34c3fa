//! Items that staff add to a customer's next bill, with their author and reason. An item that is not billed yet can
//! be voided; a billed item is reversed by another one of the opposite sign, which bears its VAT and names its bill.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

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
    let service_at = match new.reverses {
        Some(item_id) => Some(reversed(&mut tx, new, item_id).await?),
        None => new.service_at,
    };
    let item_id = db::insert_item(&mut tx, new, service_at).await?;
    let item = db::items(&mut *tx, new.user_id, PageQuery::only(item_id)).await?.pop();
    tx.commit().await?;
    item.ok_or_else(|| not_found(item_id))
}

/// Returns the time of supply of the item that `new` reverses, or the error in the request.
async fn reversed(tx: &mut PgConnection, new: &NewItem, item_id: i64) -> Result<DateTime<Utc>, Error> {
    orders::lock_customer(tx, new.user_id).await?; // so that it is reversed once
    if new.service_at.is_some() {
        return Err(Error::field("service_at", "must be omitted: it is the time of the reversed item"));
    }
    let Some(item) = db::items(&mut *tx, new.user_id, PageQuery::only(item_id)).await?.pop() else {
        return Err(Error::field("reverses", format!("must be an item of the customer; item {item_id} is not one")));
    };
    if item.bill_id.is_none() {
        return Err(Error::field("reverses", "must be a billed item; void an item that is not billed yet"));
    }
    if db::is_reversed(tx, item_id).await? {
        return Err(Error::field(
            "reverses",
            format!("must not be reversed already; another item reverses item {item_id}"),
        ));
    }
    if item.currency != new.currency.as_str() {
        return Err(Error::field("currency", format!("must be that of the reversed item, {}", item.currency)));
    }
    let opposite = (item.net < Amount::ZERO) != (new.net < Amount::ZERO);
    if !opposite || new.net.cents().abs() > item.net.cents().abs() {
        return Err(Error::field("net", format!("must lie between 0.00 and {}, to reverse {}", -item.net, item.net)));
    }
    Ok(item.service_at)
}

/// Lists a customer's items.
pub async fn list(pool: &PgPool, user_id: i64, window: PageQuery) -> Result<Vec<BillItem>, Error> {
    let mut connection = pool.acquire().await?;
    db::require_user(&mut connection, user_id).await?;
    Ok(db::items(&mut *connection, user_id, window).await?)
}

/// Voids an item that is not billed yet. The item stays in the list with the user who voided it; voiding it again
/// changes nothing.
pub async fn void(pool: &PgPool, user_id: i64, item_id: i64, staff: i64) -> Result<BillItem, Error> {
    let mut tx = request_context::begin(pool).await?;
    orders::lock_customer(&mut tx, user_id).await?; // a concurrent run has either billed the item or waits for this
    db::void_item(&mut tx, user_id, item_id, staff).await?;
    let item = db::items(&mut *tx, user_id, PageQuery::only(item_id)).await?.pop();
    let item = item.ok_or_else(|| not_found(item_id))?;
    if item.voided_at.is_none() {
        let detail = format!("bill item {item_id} is already billed; add an item of {} that reverses it", -item.net);
        return Err(Error::Conflict { code: Code::ItemBilled, detail, field: None });
    }
    tx.commit().await?;
    Ok(item)
}

fn not_found(item_id: i64) -> Error {
    Error::NotFound(format!("the customer has no bill item {item_id}").into())
}
