//! The customer's own bills over HTTP.

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};

use super::body::{BillDetail, BillList, PreviewBody};
use crate::{
    billing::{self, bill::BillFilter, one},
    database::Database,
    error::Error,
    http::{AuthenticatedUser, Cursor, Date, Id, Json, Moment, PageQuery, Sort, Tags},
    money::amount::Currency,
};

/// The operations on the customer's own bills, which have their numbers.
pub struct BillApi {
    /// The database pool.
    pub pool: Database,
}

pub(super) fn not_found(id: i64) -> Error {
    Error::NotFound(format!("bill {id} not found").into())
}

#[OpenApi(prefix_path = "/v1/bill", tag = "Tags::Bills")]
impl BillApi {
    /// List my bills
    ///
    /// Lists the customer's own bills, oldest first unless `sort` requests another order, in pages, without their records.
    #[expect(clippy::too_many_arguments, reason = "the framework's way to say which parameters there are")]
    #[oai(path = "/", method = "get", operation_id = "bill_list")]
    async fn list(
        &self,
        caller: AuthenticatedUser,
        /// Only bills issued on this date or later.
        from: Query<Option<Date>>,
        /// Only bills issued before this date.
        to: Query<Option<Date>>,
        /// Only bills in this currency.
        currency: Query<Option<Currency>>,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<BillList>, Error> {
        let filter = BillFilter {
            user_id: Some(caller.0.user_id),
            from: from.0.map(|from| from.0),
            to: to.0.map(|to| to.0),
            currency: currency.0,
            ..BillFilter::default()
        };
        let window = PageQuery::new(limit.0, cursor.0, sort.0)?;
        let (bills, next) = window.page(billing::bills(&self.pool, &filter, window).await?, |bill| bill.bill_id);
        Ok(Json(BillList { items: bills.into_iter().map(Into::into).collect(), next }))
    }

    /// Preview my next bill
    ///
    /// Returns what would be billed now, or at a later time if nothing changes until then. Nothing is written.
    #[oai(path = "/preview", method = "get", operation_id = "bill_preview")]
    async fn preview(
        &self,
        caller: AuthenticatedUser,
        /// The time up to which everything due is included; now if omitted.
        as_of: Query<Option<Moment>>,
    ) -> Result<Json<PreviewBody>, Error> {
        let as_of = as_of.0.map(|as_of| as_of.0);
        Ok(Json(one::preview(&self.pool, caller.0.user_id, as_of).await?.into()))
    }

    /// Read a bill
    ///
    /// Returns the bill with everything needed to recompute it.
    #[oai(path = "/:id", method = "get", operation_id = "bill_read")]
    async fn read(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the bill.
        id: Path<Id>,
    ) -> Result<Json<BillDetail>, Error> {
        let user_id = Some(caller.0.user_id);
        let filter = BillFilter { user_id, ..BillFilter::default() };
        let bill = billing::find(&self.pool, id.0.0, &filter).await?;
        Ok(Json(bill.ok_or_else(|| not_found(id.0.0))?.into()))
    }
}
