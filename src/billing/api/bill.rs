//! Bills over HTTP; everybody's own.

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use sqlx::PgPool;

use super::body::{BillDetail, BillList, PreviewBody};
use crate::{
    billing::{self, bill::BillFilter, one},
    error::Error,
    http::{AuthenticatedUser, Cursor, Id, Moment, PageQuery, Sort, Tags},
    money::amount::Currency,
};

/// The operations; everybody's own bills, which have their numbers.
pub struct BillApi {
    /// Where the bills are.
    pub pool: PgPool,
}

pub(super) fn not_found(id: i64) -> Error {
    Error::NotFound(format!("there is no bill {id}").into())
}

#[OpenApi(prefix_path = "/v1/bill", tag = "Tags::Bills")]
impl BillApi {
    /// List my bills
    ///
    /// The oldest first unless `sort` says otherwise, in pages, without their records.
    #[expect(clippy::too_many_arguments, reason = "the framework's way to say which parameters there are")]
    #[oai(path = "/", method = "get", operation_id = "bill_list")]
    async fn list(
        &self,
        caller: AuthenticatedUser,
        /// Issued then or later.
        from: Query<Option<Moment>>,
        /// Issued before then.
        to: Query<Option<Moment>>,
        /// Those in this currency.
        currency: Query<Option<Currency>>,
        /// Bills on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
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

    /// See my next bill
    ///
    /// What would be billed now, or as of a time ahead if nothing changes until then. Nothing is written.
    #[oai(path = "/preview", method = "get", operation_id = "bill_preview")]
    async fn preview(
        &self,
        caller: AuthenticatedUser,
        /// As of when; now if left out.
        as_of: Query<Option<Moment>>,
    ) -> Result<Json<PreviewBody>, Error> {
        let as_of = as_of.0.map(|as_of| as_of.0);
        Ok(Json(one::preview(&self.pool, caller.0.user_id, as_of).await?.into()))
    }

    /// Read a bill
    ///
    /// With everything that it was computed from.
    #[oai(path = "/:id", method = "get", operation_id = "bill_read")]
    async fn read(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the bill.
        id: Path<Id>,
    ) -> Result<Json<BillDetail>, Error> {
        let user_id = Some(caller.0.user_id);
        let filter = BillFilter { bill_id: Some(id.0.0), user_id, ..BillFilter::default() };
        let bill = billing::find(&self.pool, &filter).await?;
        Ok(Json(bill.ok_or_else(|| not_found(id.0.0))?.into()))
    }
}
