//! Items that staff add to a customer's next bill, with author and reason. One that is not billed yet can be voided; one
//! that is billed is reversed by another one of the opposite sign.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::db;
use crate::{
    code::Code,
    error::Error,
    http::Window,
    money::amount::{Amount, Currency},
    orders, request_context,
};

/// A line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Identifies it.
    pub item_id: i64,
    /// Whose bill it goes to.
    pub user_id: i64,
    /// As the bill calls it.
    pub description: String,
    /// Before VAT; negative in the customer's favour.
    pub net: Amount,
    /// What it is in.
    pub currency: String,
    /// Decides the VAT rate; the line is billed by the first run at or after it.
    pub service_at: DateTime<Utc>,
    /// For colleagues and auditors; not on the bill.
    pub reason: String,
    /// Who added it.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// The bill that it is on.
    pub bill_id: Option<i64>,
    /// When it was voided.
    pub voided_at: Option<DateTime<Utc>>,
    /// By whom.
    pub voided_by: Option<String>,
}

/// A line to be added.
#[derive(Debug)]
pub struct NewLine {
    /// Whose bill it goes to.
    pub user_id: i64,
    /// As the bill calls it.
    pub description: String,
    /// Before VAT; negative in the customer's favour.
    pub net: Amount,
    /// What it is in.
    pub currency: Currency,
    /// Decides the VAT rate; none: now.
    pub service_at: Option<DateTime<Utc>>,
    /// For colleagues and auditors.
    pub reason: String,
    /// Who adds it.
    pub created_by: i64,
}

/// Adds a line to the customer's next bill.
pub async fn add(pool: &PgPool, new: &NewLine) -> Result<Line, Error> {
    if new.net == Amount::ZERO {
        return Err(Error::field("net", "must not be 0.00"));
    }
    let mut tx = request_context::begin(pool).await?;
    db::require_user(&mut tx, new.user_id).await?;
    let item_id = db::insert_line(&mut tx, new).await?;
    let line = db::lines(&mut *tx, new.user_id, Some(item_id), Window::all()).await?.pop();
    tx.commit().await?;
    line.ok_or_else(|| not_found(item_id))
}

/// A customer's lines.
pub async fn list(pool: &PgPool, user_id: i64, window: Window) -> Result<Vec<Line>, Error> {
    let mut connection = pool.acquire().await?;
    db::require_user(&mut connection, user_id).await?;
    Ok(db::lines(&mut *connection, user_id, None, window).await?)
}

/// Voids an item that is not billed yet. It stays in the list, with who voided it; voiding it again changes nothing.
pub async fn void(pool: &PgPool, user_id: i64, item_id: i64, staff: i64) -> Result<Line, Error> {
    let mut tx = request_context::begin(pool).await?;
    orders::lock_customer(&mut tx, user_id).await?; // a run has it, or comes after this
    db::void_item(&mut tx, user_id, item_id, staff).await?;
    let line = db::lines(&mut *tx, user_id, Some(item_id), Window::all()).await?.pop();
    let line = line.ok_or_else(|| not_found(item_id))?;
    if line.voided_at.is_none() {
        let detail = format!("bill item {item_id} is billed; add one of {} to reverse it", -line.net);
        return Err(Error::Conflict { code: Code::ItemBilled, detail, field: None });
    }
    tx.commit().await?;
    Ok(line)
}

fn not_found(item_id: i64) -> Error {
    Error::NotFound(format!("the customer has no bill item {item_id}").into())
}
