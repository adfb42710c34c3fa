//! Items that staff add to bills, over HTTP; staff only.

use chrono::{DateTime, Utc};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    billing::{
        bill_run::second,
        item,
        manual_item::{self, NewItem},
    },
    database::Database,
    error::Error,
    http::{Body, Cursor, Id, Json, Line, Moment, PageQuery, Sort, Staff, Tags, input},
    money::amount::{Amount, Currency},
};

input! {
    /// An item for a customer's next bill.
    pub struct BillItemCreate {
        /// The text on the bill.
        pub description: Line<500>,
        /// The amount before VAT; negative in the customer's favour.
        pub net: Amount,
        /// The currency of the amount; the item goes on the bill in this currency.
        pub currency: Currency,
        /// A note for colleagues and auditors, not shown on the bill.
        pub reason: Line<500>,
        /// The time of supply, which determines the VAT rate; the item is not billed before it. Now if omitted.
        pub service_at: Option<Moment>,
        /// The billed item that it reverses, in whole or in part: it bears the VAT of that item, and its line names the bill.
        pub reverses: Option<Id>,
    }
}

/// An item that staff added to a customer's bills.
#[derive(Debug, Object)]
#[oai(rename = "BillItem", skip_serializing_if_is_none)]
struct ItemBody {
    /// Identifies the item.
    id: i64,
    /// The customer whose bill gets the item.
    user_id: i64,
    /// The text on the bill.
    description: String,
    /// The amount before VAT; negative in the customer's favour.
    net: Amount,
    /// The currency of the amount.
    currency: String,
    /// The time of supply: determines the VAT rate, and the first run at or after it bills the item.
    service_at: DateTime<Utc>,
    /// A note for colleagues and auditors, not shown on the bill.
    reason: String,
    /// The user who added it.
    created_by: String,
    /// The time at which the item was added.
    created_at: DateTime<Utc>,
    /// The bill that the item is on; absent until it is billed.
    bill_id: Option<i64>,
    /// The billed item that it reverses.
    reverses: Option<i64>,
    /// The time at which the item was voided; a voided item is never billed.
    voided_at: Option<DateTime<Utc>>,
    /// The user who voided it.
    voided_by: Option<String>,
}

impl From<manual_item::BillItem> for ItemBody {
    fn from(item: manual_item::BillItem) -> Self {
        Self {
            id: item.item_id,
            user_id: item.user_id,
            description: item.description,
            net: item.net,
            currency: item.currency,
            service_at: item.service_at,
            reason: item.reason,
            created_by: item.created_by,
            created_at: item.created_at,
            bill_id: item.bill_id,
            reverses: item.reverses,
            voided_at: item.voided_at,
            voided_by: item.voided_by,
        }
    }
}

/// A page of items.
#[derive(Debug, Object)]
#[oai(rename = "BillItemList", skip_serializing_if_is_none)]
struct ItemList {
    /// The items, in the requested order.
    items: Vec<ItemBody>,
    /// The cursor of the next page; absent on the last.
    next: Option<String>,
}

#[derive(ApiResponse)]
enum ItemCreated {
    /// Added; the next bill contains it
    #[oai(status = 201)]
    Created(Json<ItemBody>),
}

/// The operations.
pub struct BillItemApi {
    /// The database pool.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/admin/user", tag = "Tags::Bills")]
impl BillItemApi {
    /// Add an item to a customer's next bill
    ///
    /// Adds work by the hour, for example, or a credit with a negative amount. The item appears on the next bill
    /// after `service_at`.
    #[oai(path = "/:id/bill_item", method = "post", operation_id = "admin_bill_item_create")]
    async fn create(
        &self,
        staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
        body: Body<BillItemCreate>,
    ) -> Result<ItemCreated, Error> {
        let BillItemCreate { description, net, currency, reason, service_at, reverses } = body.0;
        let new = NewItem {
            user_id: id.0.0,
            description: description.0,
            net,
            currency,
            service_at: service_at.map(|time| second(time.0)),
            reverses: reverses.map(|id| id.0),
            reason: reason.0,
            created_by: staff.0.user_id,
        };
        Ok(ItemCreated::Created(Json(item::add(&self.pool, &new).await?.into())))
    }

    /// List the items that staff added for a customer
    ///
    /// Lists billed, pending and voided items, oldest first unless `sort` requests another order, in pages.
    #[oai(path = "/:id/bill_item", method = "get", operation_id = "admin_bill_item_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<ItemList>, Error> {
        let window = PageQuery::new(limit.0, cursor.0, sort.0)?;
        let (items, next) = window.page(item::list(&self.pool, id.0.0, window).await?, |item| item.item_id);
        Ok(Json(ItemList { items: items.into_iter().map(Into::into).collect(), next }))
    }

    /// Void an item that is not billed yet
    ///
    /// Keeps the item in the list, with the user who voided it. Reverse a billed item with another item that
    /// `reverses` it.
    #[oai(path = "/:id/bill_item/:item", method = "delete", operation_id = "admin_bill_item_delete")]
    async fn delete(
        &self,
        staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
        /// Identifies the item.
        item: Path<Id>,
    ) -> Result<Json<ItemBody>, Error> {
        Ok(Json(item::void(&self.pool, id.0.0, item.0.0, staff.0.user_id).await?.into()))
    }
}
