//! Lines that staff add to bills, over HTTP; staff only.

use chrono::{DateTime, Utc};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use sqlx::PgPool;

use crate::{
    billing::{
        line::{self, NewLine},
        run::second,
    },
    error::Error,
    http::{Body, Cursor, Id, Line, Moment, Sort, Staff, Tags, Window, input},
    money::amount::{Amount, Currency},
};

input! {
    /// A line for a customer's next bill.
    pub struct BillLineCreate {
        /// As the bill calls it.
        pub description: Line<500>,
        /// Before VAT; negative in the customer's favour.
        pub net: Amount,
        /// What it is in; it goes to the bill in this currency.
        pub currency: Currency,
        /// For colleagues and auditors; not on the bill.
        pub reason: Line<500>,
        /// When the service was that it is for: decides the VAT rate, and before it the line is not billed. Now if left out.
        pub service_at: Option<Moment>,
    }
}

/// A line that staff added to a customer's bills.
#[derive(Debug, Object)]
#[oai(rename = "BillLine", skip_serializing_if_is_none)]
struct LineBody {
    /// Identifies the line.
    id: i64,
    /// Whose bill it goes to.
    user_id: i64,
    /// As the bill calls it.
    description: String,
    /// Before VAT; negative in the customer's favour.
    net: Amount,
    /// What it is in.
    currency: String,
    /// Decides the VAT rate; it is billed by the first run at or after it.
    service_at: DateTime<Utc>,
    /// Not on the bill.
    reason: String,
    /// Who added it.
    author: String,
    /// When.
    created_at: DateTime<Utc>,
    /// The bill that it is on; absent while it is on none.
    bill_id: Option<i64>,
    /// When it was withdrawn; it is never billed then.
    withdrawn_at: Option<DateTime<Utc>>,
    /// By whom.
    withdrawn_by: Option<String>,
}

impl From<line::Line> for LineBody {
    fn from(line: line::Line) -> Self {
        Self {
            id: line.line_id,
            user_id: line.user_id,
            description: line.description,
            net: line.net,
            currency: line.currency,
            service_at: line.service_at,
            reason: line.reason,
            author: line.author,
            created_at: line.created_at,
            bill_id: line.bill_id,
            withdrawn_at: line.withdrawn_at,
            withdrawn_by: line.withdrawn_by,
        }
    }
}

/// A page of lines.
#[derive(Debug, Object)]
#[oai(rename = "BillLineList", skip_serializing_if_is_none)]
struct LineList {
    /// In the order asked for.
    items: Vec<LineBody>,
    /// Cursor of the next page; absent on the last.
    next: Option<String>,
}

#[derive(ApiResponse)]
enum LineCreated {
    /// Added; the next bill has it
    #[oai(status = 201)]
    Created(Json<LineBody>),
}

/// The operations.
pub struct BillLineApi {
    /// Where the lines are.
    pub pool: PgPool,
}

#[OpenApi(prefix_path = "/v1/admin/user", tag = "Tags::Bills")]
impl BillLineApi {
    /// Add a line to a customer's next bill
    ///
    /// Work by the hour, or a credit with an amount below zero. It stands on the next bill after `service_at`.
    #[oai(path = "/:id/billline", method = "post", operation_id = "admin_billline_create")]
    async fn create(
        &self,
        staff: Staff,
        /// Identifies the customer.
        id: Path<Id>,
        body: Body<BillLineCreate>,
    ) -> Result<LineCreated, Error> {
        let BillLineCreate { description, net, currency, reason, service_at } = body.0;
        let new = NewLine {
            user_id: id.0.0,
            description: description.0,
            net,
            currency,
            service_at: service_at.map(|time| second(time.0)),
            reason: reason.0,
            author: staff.0.user_id,
        };
        Ok(LineCreated::Created(Json(line::add(&self.pool, &new).await?.into())))
    }

    /// List the lines that staff added for a customer
    ///
    /// The oldest first unless `sort` says otherwise, in pages: those that are billed, those that
    /// wait, and those that were withdrawn.
    #[oai(path = "/:id/billline", method = "get", operation_id = "admin_billline_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Identifies the customer.
        id: Path<Id>,
        /// Lines on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<LineList>, Error> {
        let window = Window::new(limit.0, cursor.0, sort.0)?;
        let (lines, next) = window.page(line::list(&self.pool, id.0.0, window).await?, |line| line.line_id);
        Ok(Json(LineList { items: lines.into_iter().map(Into::into).collect(), next }))
    }

    /// Withdraw a line that is not billed yet
    ///
    /// It stays in the list with who withdrew it. One that is billed is taken back by a line of the opposite sign.
    #[oai(path = "/:id/billline/:line", method = "delete", operation_id = "admin_billline_delete")]
    async fn delete(
        &self,
        staff: Staff,
        /// Identifies the customer.
        id: Path<Id>,
        /// Identifies the line.
        line: Path<Id>,
    ) -> Result<Json<LineBody>, Error> {
        Ok(Json(line::withdraw(&self.pool, id.0.0, line.0.0, staff.0.user_id).await?.into()))
    }
}
