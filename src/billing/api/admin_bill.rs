//! The bills of all customers over HTTP; staff only.

use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
};
use sqlx::PgPool;

use super::{
    bill::not_found,
    body::{BillDetail, BillList, BilledBody, PreviewBody},
    file::BillFile,
};
use crate::{
    billing::{
        self,
        bill::BillFilter,
        export::{Format, export},
        one,
    },
    database::Database,
    error::{Error, FieldError},
    http::{Body, Cursor, Date, Id, Json, Moment, PageQuery, Sort, Staff, Tags, UsernameText, input},
    money::amount::Currency,
};

input! {
    /// A request to bill one customer or all.
    pub struct BillCreate {
        /// The time up to which everything due is billed; now if omitted. The bills are dated today.
        pub as_of: Option<Moment>,
    }
}

#[derive(ApiResponse)]
enum BilledNow {
    /// Nothing was due
    #[oai(status = 200)]
    Nothing(Json<BilledBody>),
    /// The customer was billed
    #[oai(status = 201)]
    Billed(Json<BilledBody>),
}

/// The operations.
pub struct AdminBillApi {
    /// The database pool.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/admin", tag = "Tags::Bills")]
impl AdminBillApi {
    /// List bills
    ///
    /// Lists the bills of all customers, oldest first unless `sort` requests another order, in pages, without their records;
    /// includes drafts of a run that has not ended.
    #[oai(path = "/bill", method = "get", operation_id = "admin_bill_list")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn list(
        &self,
        _staff: Staff,
        /// Only bills of the customer with this name.
        username: Query<Option<UsernameText>>,
        /// Only bills of this run.
        run: Query<Option<Id>>,
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
            username: username.0.map(|name| name.0.as_str().to_owned()),
            run_id: run.0.map(|run| run.0),
            from: from.0.map(|from| from.0),
            to: to.0.map(|to| to.0),
            currency: currency.0,
            drafts: true,
            ..BillFilter::default()
        };
        let window = PageQuery::new(limit.0, cursor.0, sort.0)?;
        let (bills, next) = window.page(billing::bills(&self.pool, &filter, window).await?, |bill| bill.bill_id);
        Ok(Json(BillList { items: bills.into_iter().map(Into::into).collect(), next }))
    }

    /// Export bills with their VAT
    ///
    /// Returns the numbered bills of a period by their numbers: CSV with a line for each bill and VAT rate, or JSON.
    #[expect(clippy::unused_async, reason = "the framework's signature; the file is read while it is sent")]
    #[oai(path = "/bill/export", method = "get", operation_id = "admin_bill_export")]
    async fn export(
        &self,
        _staff: Staff,
        /// The first issue date.
        from: Query<Date>,
        /// The date after the last issue date.
        to: Query<Date>,
        /// The format of the file.
        #[oai(default)]
        format: Query<Format>,
    ) -> Result<BillFile, Error> {
        let (from, to, format) = (from.0.0, to.0.0, format.0);
        if to <= from {
            return Err(Error::Parameters(vec![FieldError::of("query", "to", "must be later than from")]));
        }
        let name = format!("bills-{}-{}", from.format("%Y%m%d"), to.format("%Y%m%d"));
        let body = BillFile::stream(export(PgPool::clone(&self.pool), from, to, format));
        Ok(BillFile { format, body, name })
    }

    /// Read a bill
    ///
    /// Returns the bill with its records and its VAT, as the customer gets it; also a draft of a run that has not
    /// ended.
    #[oai(path = "/bill/:id", method = "get", operation_id = "admin_bill_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the bill.
        id: Path<Id>,
    ) -> Result<Json<BillDetail>, Error> {
        let filter = BillFilter { drafts: true, ..BillFilter::default() };
        let bill = billing::find(&self.pool, id.0.0, &filter).await?;
        Ok(Json(bill.ok_or_else(|| not_found(id.0.0))?.into()))
    }

    /// Bill one customer now
    ///
    /// Bills this customer alone, exactly as a bill run does. If the customer can't be billed, nothing is written.
    #[oai(path = "/user/:id/bill", method = "post", operation_id = "admin_bill_create")]
    async fn create(
        &self,
        staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
        body: Body<BillCreate>,
    ) -> Result<BilledNow, Error> {
        let as_of = body.0.as_of.map(|as_of| as_of.0);
        let mut billed = one::bill(&self.pool, id.0.0, as_of, Some(staff.0.user_id)).await?;
        if let Some(problem) = billed.problem.take() {
            return Err(problem.into_error());
        }
        Ok(if billed.bills.is_empty() {
            BilledNow::Nothing(Json(billed.into()))
        } else {
            BilledNow::Billed(Json(billed.into()))
        })
    }

    /// Preview a customer's next bill
    ///
    /// Returns what would be billed now, or at a later time if nothing changes until then. Nothing is written.
    #[oai(path = "/user/:id/bill/preview", method = "get", operation_id = "admin_bill_preview")]
    async fn preview(
        &self,
        _staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
        /// The time up to which everything due is included; now if omitted.
        as_of: Query<Option<Moment>>,
    ) -> Result<Json<PreviewBody>, Error> {
        let as_of = as_of.0.map(|as_of| as_of.0);
        Ok(Json(one::preview(&self.pool, id.0.0, as_of).await?.into()))
    }
}
