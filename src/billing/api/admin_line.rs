//! Items that staff add to bills, over HTTP; staff only.

use chrono::{DateTime, Utc};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use sqlx::PgPool;

use crate::{
    billing::{
        bill_run::second,
        line,
        manual_line::{self, NewLine},
    },
    error::Error,
    http::{Body, Cursor, Id, Line, Moment, Sort, Staff, Tags, Window, input},
    money::amount::{Amount, Currency},
};

input! {
    /// An item for a customer's next bill.
    pub struct BillItemCreate {
        /// As the bill calls it.
        pub description: Line<500>,
        /// Before VAT; negative in the customer's favour.
        pub net: Amount,
        /// What it is in; it goes to the bill in this currency.
        pub currency: Currency,
        /// For colleagues and auditors; not on the bill.
        pub reason: Line<500>,
        /// When the service was supplied: decides the VAT rate, and the item is not billed before it. Now if left out.
        pub service_at: Option<Moment>,
    }
}

/// An item that staff added to a customer's bills.
#[derive(Debug, Object)]
#[oai(rename = "BillItem", skip_serializing_if_is_none)]
struct LineBody {
    /// Identifies the item.
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
    /// The user who added it.
    created_by: String,
    /// When it was added.
    created_at: DateTime<Utc>,
    /// The bill that it is on; absent while it is on none.
    bill_id: Option<i64>,
    /// When it was voided; a voided item is never billed.
    voided_at: Option<DateTime<Utc>>,
    /// The user who voided it.
    voided_by: Option<String>,
}

impl From<manual_line::Line> for LineBody {
    fn from(line: manual_line::Line) -> Self {
        Self {
            id: line.item_id,
            user_id: line.user_id,
            description: line.description,
            net: line.net,
            currency: line.currency,
            service_at: line.service_at,
            reason: line.reason,
            created_by: line.created_by,
            created_at: line.created_at,
            bill_id: line.bill_id,
            voided_at: line.voided_at,
            voided_by: line.voided_by,
        }
    }
}

/// A page of items.
#[derive(Debug, Object)]
#[oai(rename = "BillItemList", skip_serializing_if_is_none)]
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
pub struct BillItemApi {
    /// Where the items are.
    pub pool: PgPool,
}

#[OpenApi(prefix_path = "/v1/admin/user", tag = "Tags::Bills")]
impl BillItemApi {
    /// Add an item to a customer's next bill
    ///
    /// Work by the hour, or a credit with an amount below zero. It stands on the next bill after `service_at`.
    #[oai(path = "/:id/bill_item", method = "post", operation_id = "admin_bill_item_create")]
    async fn create(
        &self,
        staff: Staff,
        /// Identifies the customer.
        id: Path<Id>,
        body: Body<BillItemCreate>,
    ) -> Result<LineCreated, Error> {
        let BillItemCreate { description, net, currency, reason, service_at } = body.0;
        let new = NewLine {
            user_id: id.0.0,
            description: description.0,
            net,
            currency,
            service_at: service_at.map(|time| second(time.0)),
            reason: reason.0,
            created_by: staff.0.user_id,
        };
        Ok(LineCreated::Created(Json(line::add(&self.pool, &new).await?.into())))
    }

    /// List the items that staff added for a customer
    ///
    /// The oldest first unless `sort` says otherwise, in pages: those that are billed, those that
    /// wait, and those that were voided.
    #[oai(path = "/:id/bill_item", method = "get", operation_id = "admin_bill_item_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Identifies the customer.
        id: Path<Id>,
        /// Items on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<LineList>, Error> {
        let window = Window::new(limit.0, cursor.0, sort.0)?;
        let (lines, next) = window.page(line::list(&self.pool, id.0.0, window).await?, |line| line.item_id);
        Ok(Json(LineList { items: lines.into_iter().map(Into::into).collect(), next }))
    }

    /// Void an item that is not billed yet
    ///
    /// It stays in the list, with the user who voided it. Reverse a billed one with an item of the opposite sign.
    #[oai(path = "/:id/bill_item/:item", method = "delete", operation_id = "admin_bill_item_delete")]
    async fn delete(
        &self,
        staff: Staff,
        /// Identifies the customer.
        id: Path<Id>,
        /// Identifies the item.
        item: Path<Id>,
    ) -> Result<Json<LineBody>, Error> {
        Ok(Json(line::void(&self.pool, id.0.0, item.0.0, staff.0.user_id).await?.into()))
    }
}
