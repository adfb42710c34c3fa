//! The API's operations on the caller's own orders.

use std::sync::Arc;

use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
};
use sqlx::PgPool;

use super::{
    body::{OrderBody, OrderList, ReplacedBody, product},
    parameters::Parameters,
    quote::{QuoteBody, ReplacementQuoteBody, kind},
};
use crate::{
    database::Database,
    error::Error,
    http::{AuthenticatedUser, Body, Cursor, Flag, Id, Json, PageQuery, ProductName, Sort, Tags, input},
    money::{amount::Currency, charge::UpgradeCredit, period::RecurringPeriod},
    orders::{
        buy::{self, Terms},
        end,
        order_view::Filter,
        quote::OrderRequest,
        replace::Replaced,
        service, undo, view,
    },
    queue::Notifier,
    services::{Placed, ServiceChange, Services},
};

input! {
    /// An order for a product of the catalogue.
    pub struct OrderCreate {
        /// The product's name for programs.
        pub product: ProductName,
        /// A value for each of the product's parameters.
        pub parameters: Parameters,
        /// The recurring period; omitted for a one-time purchase.
        pub recurring_period: Option<RecurringPeriod>,
        /// The currency of all amounts.
        pub currency: Currency,
        /// The treatment of the period that a later upgrade interrupts; `prorate` if omitted.
        pub upgrade_credit: Option<UpgradeCredit>,
    }
}

input! {
    /// The order that replaces another one; omitted members keep their present values.
    pub struct OrderReplacementCreate {
        /// The name of another product.
        pub product: Option<ProductName>,
        /// A value for each of the product's parameters.
        pub parameters: Parameters,
        /// Another recurring period.
        pub recurring_period: Option<RecurringPeriod>,
        /// The treatment of the period that a later upgrade interrupts.
        pub upgrade_credit: Option<UpgradeCredit>,
        /// The time at which a downgrade changes the service; `at_end` if omitted.
        pub service_change: Option<ServiceChange>,
    }
}

input! {
    /// The options of a cancellation.
    pub struct OrderCancelCreate {
        /// The time at which the service ends; `at_end` if omitted.
        pub service_change: Option<ServiceChange>,
    }
}

input! {
    /// An update of an order.
    pub struct OrderUpdate {
        /// The time at which the pending downgrade or cancellation changes the service.
        pub service_change: ServiceChange,
    }
}

#[derive(ApiResponse)]
pub(super) enum OrderCreated {
    /// The order is placed.
    #[oai(status = 201)]
    Created(
        Json<OrderBody>,
        /// The path of the order.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
pub(super) enum OrderReplaced {
    /// The new order is placed.
    #[oai(status = 201)]
    Replaced(
        Json<ReplacedBody>,
        /// The path of the new order.
        #[oai(header = "Location")]
        String,
    ),
}

impl OrderCreate {
    pub(super) async fn into_request(self, db: &PgPool) -> Result<OrderRequest, Error> {
        Ok(OrderRequest {
            product: product(db, &self.product.0).await?,
            parameters: self.parameters.0,
            recurring_period: self.recurring_period,
            currency: self.currency,
            upgrade_credit: self.upgrade_credit.unwrap_or(UpgradeCredit::Prorate),
        })
    }
}

/// Builds the response to a replacement; `place` is the path of orders for the caller.
pub(super) async fn replaced(
    db: &PgPool,
    place: &str,
    own: Option<i64>,
    replaced: &Replaced,
) -> Result<OrderReplaced, Error> {
    let old = view::read(db, (replaced.old.order_id, own)).await?.try_into()?;
    let new = view::read(db, (replaced.new.order_id, own)).await?.try_into()?;
    let body = ReplacedBody { replacement: kind(replaced.replacement).to_owned(), old, new };
    Ok(OrderReplaced::Replaced(Json(body), format!("{place}/{}", replaced.new.order_id)))
}

impl OrderReplacementCreate {
    /// Returns the product and options that are to replace an order of the catalogue.
    pub(super) async fn into_request(
        self,
        db: &PgPool,
        scoped_id: (i64, Option<i64>),
    ) -> Result<(OrderRequest, ServiceChange), Error> {
        let old = view::read(db, scoped_id).await?;
        let Some(name) = self.product.map(|name| name.0).or_else(|| old.product.clone()) else {
            return Err(Error::field("product", format!("is missing: order {} has negotiated terms", old.order_id)));
        };
        let request = OrderRequest {
            product: product(db, &name).await?,
            parameters: self.parameters.0,
            recurring_period: self.recurring_period.map_or_else(|| old.period(), |it| Ok(Some(it)))?,
            currency: old.currency.parse().map_err(anyhow::Error::new)?,
            upgrade_credit: self.upgrade_credit.unwrap_or(old.upgrade_credit),
        };
        Ok((request, self.service_change.unwrap_or_default()))
    }
}

/// Returns a page of the orders that match.
pub(super) async fn list(db: &Database, filter: &Filter, window: PageQuery) -> Result<Json<OrderList>, Error> {
    let (orders, next) = window.page(view::list(db, filter, window).await?, |order| order.order_id);
    let items = orders.into_iter().map(OrderBody::try_from).collect::<Result<_, _>>()?;
    Ok(Json(OrderList { items, next }))
}

pub(super) async fn read(db: &Database, scoped_id: (i64, Option<i64>)) -> Result<Json<OrderBody>, Error> {
    Ok(Json(view::read(db, scoped_id).await?.try_into()?))
}

/// The operations on the caller's own orders.
pub struct OrderApi {
    /// The database with the orders.
    pub pool: Database,
    /// The notifier that wakes the relay.
    pub wake: Arc<Notifier>,
    /// The services that provision orders.
    pub services: Services,
    /// Called in the transaction that places an order.
    pub placed: Placed,
}

#[OpenApi(prefix_path = "/v1/order", tag = "Tags::Orders")]
impl OrderApi {
    /// Request a quote
    ///
    /// Returns every component of the price, the VAT that I would pay, and the blockers of the order. Nothing is
    /// written.
    #[oai(path = "/quote", method = "post", operation_id = "order_quote")]
    async fn quote(&self, caller: AuthenticatedUser, body: Body<OrderCreate>) -> Result<Json<QuoteBody>, Error> {
        let request = body.0.into_request(&self.pool).await?;
        let (quote, vat) = buy::quote(&self.pool, self.services, &caller.0, request).await?;
        Ok(Json(QuoteBody::new(quote, vat)?))
    }

    /// Order a product
    ///
    /// The server creates a VPN network with its order; staff see manual orders in their list.
    #[oai(path = "/", method = "post", operation_id = "order_create")]
    async fn create(&self, caller: AuthenticatedUser, body: Body<OrderCreate>) -> Result<OrderCreated, Error> {
        let user_id = caller.0.user_id;
        let request = body.0.into_request(&self.pool).await?;
        let order_id = buy::order(
            &self.pool,
            (self.services, self.placed),
            &caller.0,
            user_id,
            Terms::Catalogue(Box::new(request)),
            None,
        )
        .await?;
        self.wake.queued();
        let order = read(&self.pool, (order_id, Some(user_id))).await?;
        Ok(OrderCreated::Created(order, format!("/v1/order/{order_id}")))
    }

    /// List my orders
    ///
    /// Lists my orders in pages, the oldest first unless `sort` requests another order.
    #[oai(path = "/", method = "get", operation_id = "order_list")]
    async fn list(
        &self,
        caller: AuthenticatedUser,
        /// Returns only orders with items still to be billed (true), or only closed orders (false).
        open: Query<Option<Flag>>,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<OrderList>, Error> {
        let open = open.0.map(|flag| flag.0);
        let filter = Filter { user_id: Some(caller.0.user_id), open, ..Filter::default() };
        list(&self.pool, &filter, PageQuery::new(limit.0, cursor.0, sort.0)?).await
    }

    /// Read an order
    ///
    /// Returns the order with its price, its duration and its service.
    #[oai(path = "/:id", method = "get", operation_id = "order_read")]
    async fn read(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the order.
        id: Path<Id>,
    ) -> Result<Json<OrderBody>, Error> {
        read(&self.pool, (id.0.0, Some(caller.0.user_id))).await
    }

    /// Replace an order
    ///
    /// A replacement that costs as much or more per second takes effect now (upgrade); one that costs less takes effect
    /// at the end of the commitment (downgrade). A later replacement supersedes a downgrade that is still pending.
    #[oai(path = "/:id/replace", method = "post", operation_id = "order_replace")]
    async fn replace(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the order.
        id: Path<Id>,
        body: Body<OrderReplacementCreate>,
    ) -> Result<OrderReplaced, Error> {
        let scoped_id = (id.0.0, Some(caller.0.user_id));
        let (request, change) = body.0.into_request(&self.pool, scoped_id).await?;
        let done =
            buy::replace_order(&self.pool, (self.services, self.placed), &caller.0, scoped_id, request, change).await?;
        replaced(&self.pool, "/v1/order", scoped_id.1, &done).await
    }

    /// Request a quote for a replacement
    ///
    /// Returns the price, its VAT, what is credited and charged and from when, and until when the new order can't be
    /// cancelled. Nothing is written.
    #[oai(path = "/:id/replace/quote", method = "post", operation_id = "order_replace_quote")]
    async fn quote_replacement(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the order.
        id: Path<Id>,
        body: Body<OrderReplacementCreate>,
    ) -> Result<Json<ReplacementQuoteBody>, Error> {
        let scoped_id = (id.0.0, Some(caller.0.user_id));
        let (request, change) = body.0.into_request(&self.pool, scoped_id).await?;
        let quote = buy::quote_replacement(&self.pool, self.services, &caller.0, scoped_id, request, change).await?;
        Ok(Json(ReplacementQuoteBody::new(quote)?))
    }

    /// Undo a cancellation or a downgrade
    ///
    /// Possible until it has taken effect, or has changed the service. The order goes on as before.
    #[oai(path = "/:id/undo", method = "post", operation_id = "order_undo")]
    async fn undo(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the order, or the pending order that is to replace it.
        id: Path<Id>,
    ) -> Result<Json<OrderBody>, Error> {
        let own = Some(caller.0.user_id);
        let order_id = undo::undo_order(&self.pool, (id.0.0, own)).await?;
        read(&self.pool, (order_id, own)).await
    }

    /// Cancel an order
    ///
    /// Charging ends at the first boundary after the commitment. Repeating the request changes the end of the service.
    #[oai(path = "/:id/cancel", method = "post", operation_id = "order_cancel")]
    async fn cancel(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the order.
        id: Path<Id>,
        body: Body<OrderCancelCreate>,
    ) -> Result<Json<OrderBody>, Error> {
        let scoped_id = (id.0.0, Some(caller.0.user_id));
        end::cancel_order(&self.pool, self.services, scoped_id, body.0.service_change.unwrap_or_default()).await?;
        self.wake.queued();
        read(&self.pool, scoped_id).await
    }

    /// Choose when an order's service changes
    ///
    /// Possible until a downgrade or a cancellation has changed the service.
    #[oai(path = "/:id", method = "patch", operation_id = "order_update")]
    async fn update(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the order.
        id: Path<Id>,
        body: Body<OrderUpdate>,
    ) -> Result<Json<OrderBody>, Error> {
        let scoped_id = (id.0.0, Some(caller.0.user_id));
        service::choose(&self.pool, self.services, scoped_id, body.0.service_change).await?;
        self.wake.queued();
        read(&self.pool, scoped_id).await
    }
}
