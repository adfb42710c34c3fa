//! Money: what an order costs over time, its VAT, and the bills. Everything but `customer`, `run`, `db` and what is for
//! people is arithmetic that reads no clock, database or network.

pub mod bill;
pub mod charge;
pub mod country;
pub mod draft;
pub mod jobs;
pub mod money;
pub mod period;
pub mod run;
pub mod simulate;
pub mod vat;
pub mod vat_rates;

pub mod verify;

mod customer;
mod db;

pub use customer::Problem;

use bill::{Bill, BillFilter, WholeBill};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::{error::Error, http::Window};

/// The database's time: what several servers and workers agree on.
pub async fn now(pool: &PgPool) -> sqlx::Result<DateTime<Utc>> {
    db::now(pool).await
}

/// Bills by id, at most so many.
pub async fn bills(pool: &PgPool, filter: &BillFilter, limit: i64) -> sqlx::Result<Vec<Bill>> {
    db::bills(pool, filter, Window { after: 0, limit: limit - 1 }).await
}

/// The bill with that number.
pub async fn bill_by_number(pool: &PgPool, number: &str) -> Result<Option<WholeBill>, Error> {
    let filter = BillFilter { number: Some(number.to_owned()), ..BillFilter::default() };
    match db::bills(pool, &filter, Window::all()).await?.pop() {
        Some(bill) => Ok(Some(whole(pool, bill).await?)),
        None => Ok(None),
    }
}

/// A bill with its lines.
async fn whole(pool: &PgPool, bill: Bill) -> Result<WholeBill, Error> {
    let records = db::records(pool, &[bill.bill_id]).await?;
    let vat = db::vat(pool, &[bill.bill_id]).await?;
    Ok(WholeBill { bill, records, vat })
}
