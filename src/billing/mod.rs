//! Bills: generation, runs, export, preview, simulation and verification. The arithmetic, which reads no clock,
//! database or network, is in `money`.

pub mod bill;
pub mod content;
pub mod correction;
pub mod export;
pub mod item;
pub mod jobs;
pub mod one;
pub mod run;
pub mod simulate;
pub mod verify;

mod api;
pub mod bill_run;
mod case_parties;
mod customer;
mod customer_bills;
mod db;
mod exported_bill;
mod line;
mod manual_item;
mod new_correction;
mod problem;

pub use api::{AdminBillApi, BillApi, BillItemApi, BillRunApi, RateCorrectionApi};
pub use problem::Problem;

use std::collections::HashMap;

use bill::{Bill, BillFilter, BillNumber, BillRecord, BillVat, WholeBill};
use sqlx::{PgConnection, PgPool};

use crate::{database::Database, error::Error, http::PageQuery};

/// Returns a page of the bills that match the filter.
pub async fn bills(db: &Database, filter: &BillFilter, window: PageQuery) -> sqlx::Result<Vec<Bill>> {
    db::bills(&db.search(), filter, window).await
}

/// Returns the bill with this number.
pub async fn bill_by_number(pool: &PgPool, number: BillNumber) -> Result<Option<WholeBill>, Error> {
    match db::id_of_number(pool, number).await? {
        Some(bill_id) => find(pool, bill_id, &BillFilter::default()).await,
        None => Ok(None),
    }
}

/// Returns one bill, if it matches the filter.
async fn find(pool: &PgPool, bill_id: i64, filter: &BillFilter) -> Result<Option<WholeBill>, Error> {
    let mut connection = pool.acquire().await?;
    Ok(whole_bills(&mut connection, filter, PageQuery::only(bill_id)).await?.pop())
}

/// Returns a page of the bills that match the filter, with their records.
async fn whole_bills(
    connection: &mut PgConnection,
    filter: &BillFilter,
    window: PageQuery,
) -> Result<Vec<WholeBill>, Error> {
    let bills = db::bills(&mut *connection, filter, window).await?;
    let ids: Vec<i64> = bills.iter().map(|bill| bill.bill_id).collect();
    let mut contents = db::contents(&mut *connection, &ids).await?;
    let (mut records, mut vat): (HashMap<i64, Vec<BillRecord>>, HashMap<i64, Vec<BillVat>>) = Default::default();
    for record in db::records(&mut *connection, &ids).await? {
        records.entry(record.bill_id).or_default().push(record);
    }
    for group in db::vat(connection, &ids).await? {
        vat.entry(group.bill_id).or_default().push(group);
    }
    let whole = bills.into_iter().map(|bill| {
        let id = bill.bill_id;
        let (seller, content) = contents.remove(&id).ok_or_else(|| anyhow::anyhow!("bill {id} has no content"))?;
        let (records, vat) = (records.remove(&id).unwrap_or_default(), vat.remove(&id).unwrap_or_default());
        Ok(WholeBill { bill, seller, content, records, vat })
    });
    whole.collect()
}
