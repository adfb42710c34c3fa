//! The API's operations on the orders of all customers, for staff only.

use std::sync::Arc;

use chrono::Datelike as _;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};
use sqlx::PgPool;

use super::{
    body::{OrderBody, OrderList, product},
    order::{
        OrderCancelCreate, OrderCreated, OrderReplaced, OrderReplacementCreate, OrderUpdate, list, read, replaced,
    },
    parameters::Parameters,
};
use crate::{
    accounts,
    database::Database,
    error::{Error, FieldError},
    http::{
        Body, Cursor, Flag, Id, Json, Line, Moment, Number, PageQuery, ProductName, Sort, Staff, Tags, UsernameText,
        input,
    },
    money::{
        amount::Currency,
        charge::{BillingMode, UpgradeCredit},
        period::RecurringPeriod,
        unit_price::UnitPrice,
    },
    orders::{
        buy::{self, NegotiatedTerms, Terms},
        end,
        order_view::Filter,
        quote::OrderRequest,
        service, undo,
    },
    queue::Notifier,
    services::{Placed, Services},
};

/// The years in which an order's charging may begin: accounts go no further back, and orders no further ahead.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2099;

input! {
    /// An order for a customer: either a product of the catalogue with its parameters, or a description with negotiated
    /// prices.
    pub struct CustomerOrderCreate {
        /// The customer's name.
        pub username: UsernameText,
        /// The product's name for programs.
        pub product: Option<ProductName>,
        /// A value for each of the product's parameters.
        pub parameters: Parameters<false>,
        /// The description that bills show for a negotiated order; replaces `product`.
        pub description: Option<Line<500>>,
        /// The negotiated one-time price before VAT; 0.00 if omitted.
        pub one_time: Option<UnitPrice>,
        /// The negotiated price of each period before VAT; 0.00 if omitted.
        pub recurring: Option<UnitPrice>,
        /// The negotiated time at which a period is billed, when it begins or when it has ended; `advance` if omitted.
        pub billing_mode: Option<BillingMode>,
        /// The negotiated number of periods that can't be cancelled; 1 if omitted.
        pub commitment_periods: Option<Number<0, 1000>>,
        /// The recurring period; omitted for a one-time purchase.
        pub recurring_period: Option<RecurringPeriod>,
        /// The currency of all amounts.
        pub currency: Currency,
        /// The treatment of the period that a later upgrade interrupts; `prorate` if omitted.
        pub upgrade_credit: Option<UpgradeCredit>,
        /// The time at which charging begins, which may lie in the past; now if omitted.
        pub starts_at: Option<Moment>,
    }
}

impl CustomerOrderCreate {
    async fn terms(self, db: &PgPool) -> Result<Terms, Error> {
        let upgrade_credit = self.upgrade_credit.unwrap_or(UpgradeCredit::Prorate);
        let recurring_period = self.recurring_period;
        let agreed = [
            ("description", self.description.is_some()),
            ("one_time", self.one_time.is_some()),
            ("recurring", self.recurring.is_some()),
            ("billing_mode", self.billing_mode.is_some()),
            ("commitment_periods", self.commitment_periods.is_some()),
        ];
        let superfluous = |given: &[(&str, bool)], message: &str| {
            let given = given.iter().filter(|(_, is_given)| *is_given);
            given.map(|(field, _)| FieldError::new(field, message)).collect::<Vec<_>>()
        };
        match (self.product, self.description) {
            (Some(name), _) => {
                let errors = superfluous(&agreed, "must be omitted: the product defines it");
                if !errors.is_empty() {
                    return Err(Error::Invalid(errors));
                }
                Ok(Terms::Catalogue(Box::new(OrderRequest {
                    product: product(db, &name.0).await?,
                    parameters: self.parameters.0,
                    recurring_period,
                    currency: self.currency,
                    upgrade_credit,
                })))
            }
            (None, None) => Err(Error::field("product", "is missing; name a product, or describe what was negotiated")),
            (None, Some(description)) => {
                let once = recurring_period.is_none();
                let mut errors =
                    superfluous(&[("parameters", !self.parameters.0.is_empty())], "must be omitted without a product");
                let recurs = [
                    ("recurring", self.recurring.is_some()),
                    ("commitment_periods", self.commitment_periods.is_some()),
                ];
                if once {
                    errors.extend(superfluous(&recurs, "requires a recurring_period"));
                }
                if !errors.is_empty() {
                    return Err(Error::Invalid(errors));
                }
                Ok(Terms::NegotiatedTerms(NegotiatedTerms {
                    description: description.0,
                    currency: self.currency,
                    one_time: self.one_time.unwrap_or_default(),
                    recurring: self.recurring.unwrap_or_default(),
                    recurring_period,
                    billing_mode: self.billing_mode.unwrap_or(BillingMode::Advance),
                    commitment_periods: self.commitment_periods.map_or(u32::from(!once), Number::get),
                    upgrade_credit,
                }))
            }
        }
    }
}

/// The operations on the orders of all customers.
pub struct AdminOrderApi {
    /// The database with the orders.
    pub pool: Database,
    /// The notifier that wakes the relay.
    pub wake: Arc<Notifier>,
    /// The services that provision orders.
    pub services: Services,
    /// Called in the transaction that places an order.
    pub placed: Placed,
}

#[OpenApi(prefix_path = "/v1/admin/order", tag = "Tags::Orders")]
impl AdminOrderApi {
    /// List orders
    ///
    /// Lists the orders of all customers in pages, the oldest first unless `sort` requests another order.
    #[expect(clippy::too_many_arguments, reason = "the framework declares query parameters as arguments")]
    #[oai(path = "/", method = "get", operation_id = "admin_order_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Returns only orders of the user with this name.
        username: Query<Option<UsernameText>>,
        /// Returns only orders of this product.
        product: Query<Option<ProductName>>,
        /// Returns only orders with items still to be billed (true), or only closed orders (false).
        open: Query<Option<Flag>>,
        /// Returns only orders that staff have to provision or terminate now.
        needs_action: Query<Option<Flag>>,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<OrderList>, Error> {
        let filter = Filter {
            username: username.0.map(|name| name.0.as_str().to_owned()),
            product: product.0.map(|name| name.0),
            open: open.0.map(|flag| flag.0),
            needs_action: needs_action.0.is_some_and(|flag| flag.0),
            ..Filter::default()
        };
        list(&self.pool, &filter, PageQuery::new(limit.0, cursor.0, sort.0)?).await
    }

    /// Read a customer's order
    ///
    /// Returns the order as its customer sees it.
    #[oai(path = "/:id", method = "get", operation_id = "admin_order_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the order.
        id: Path<Id>,
    ) -> Result<Json<OrderBody>, Error> {
        read(&self.pool, (id.0.0, None)).await
    }

    /// Order for a customer
    ///
    /// Places an order for a product, or for negotiated terms. Bills reach back to the start of charging.
    #[oai(path = "/", method = "post", operation_id = "admin_order_create")]
    async fn create(&self, staff: Staff, body: Body<CustomerOrderCreate>) -> Result<OrderCreated, Error> {
        let name = &body.0.username.0;
        let customer = accounts::find(&self.pool, name).await?;
        let customer =
            customer.ok_or_else(|| Error::field("username", format!("{} is not a known user", name.as_str())))?;
        let starts_at = body.0.starts_at.map(|time| time.0);
        if starts_at.is_some_and(|time| !YEARS.contains(&time.year())) {
            return Err(Error::field("starts_at", "must be in the years 2000 to 2099"));
        }
        let terms = body.0.terms(&self.pool).await?;
        let order_id =
            buy::order(&self.pool, (self.services, self.placed), &staff.0, customer.user_id, terms, starts_at).await?;
        self.wake.queued();
        let order = read(&self.pool, (order_id, None)).await?;
        Ok(OrderCreated::Created(order, format!("/v1/admin/order/{order_id}")))
    }

    /// Replace a customer's order
    ///
    /// Works like the customer's operation: price and service change, and the old order ends when the new one begins.
    #[oai(path = "/:id/replace", method = "post", operation_id = "admin_order_replace")]
    async fn replace(
        &self,
        staff: Staff,
        /// Identifies the order.
        id: Path<Id>,
        body: Body<OrderReplacementCreate>,
    ) -> Result<OrderReplaced, Error> {
        let scoped_id = (id.0.0, None);
        let (request, change) = body.0.into_request(&self.pool, scoped_id).await?;
        let done =
            buy::replace_order(&self.pool, (self.services, self.placed), &staff.0, scoped_id, request, change).await?;
        replaced(&self.pool, "/v1/admin/order", None, &done).await
    }

    /// Undo a cancellation or a downgrade of a customer
    ///
    /// Works like the customer's operation.
    #[oai(path = "/:id/undo", method = "post", operation_id = "admin_order_undo")]
    async fn undo(
        &self,
        _staff: Staff,
        /// Identifies the order, or the pending order that is to replace it.
        id: Path<Id>,
    ) -> Result<Json<OrderBody>, Error> {
        let order_id = undo::undo_order(&self.pool, (id.0.0, None)).await?;
        read(&self.pool, (order_id, None)).await
    }

    /// Cancel a customer's order
    ///
    /// Works like the customer's operation; commitments apply here too.
    #[oai(path = "/:id/cancel", method = "post", operation_id = "admin_order_cancel")]
    async fn cancel(
        &self,
        _staff: Staff,
        /// Identifies the order.
        id: Path<Id>,
        body: Body<OrderCancelCreate>,
    ) -> Result<Json<OrderBody>, Error> {
        end::cancel_order(&self.pool, self.services, (id.0.0, None), body.0.service_change.unwrap_or_default()).await?;
        self.wake.queued();
        read(&self.pool, (id.0.0, None)).await
    }

    /// Choose when an order's service changes
    ///
    /// Works like the customer's operation.
    #[oai(path = "/:id", method = "patch", operation_id = "admin_order_update")]
    async fn update(
        &self,
        _staff: Staff,
        /// Identifies the order.
        id: Path<Id>,
        body: Body<OrderUpdate>,
    ) -> Result<Json<OrderBody>, Error> {
        service::choose(&self.pool, self.services, (id.0.0, None), body.0.service_change).await?;
        self.wake.queued();
        read(&self.pool, (id.0.0, None)).await
    }

    /// Record that an order is provisioned
    ///
    /// This also terminates the service of the order that it replaces.
    #[oai(path = "/:id/delivered", method = "post", operation_id = "admin_order_delivered")]
    async fn delivered(
        &self,
        staff: Staff,
        /// Identifies the order.
        id: Path<Id>,
    ) -> Result<Json<OrderBody>, Error> {
        service::delivered(&self.pool, &staff.0, id.0.0).await?;
        read(&self.pool, (id.0.0, None)).await
    }

    /// Record that an order's service is terminated
    ///
    /// The order must be cancelled, and the end of its service must have come.
    #[oai(path = "/:id/terminated", method = "post", operation_id = "admin_order_terminated")]
    async fn terminated(
        &self,
        staff: Staff,
        /// Identifies the order.
        id: Path<Id>,
    ) -> Result<Json<OrderBody>, Error> {
        service::terminated(&self.pool, &staff.0, id.0.0).await?;
        read(&self.pool, (id.0.0, None)).await
    }
}
