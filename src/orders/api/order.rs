//! Orders over HTTP; everybody's own.

use std::sync::Arc;

use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use sqlx::PgPool;

use super::{
    body::{OrderBody, OrderList, ReplacedBody, product},
    parameters::Parameters,
    quote::QuoteBody,
};
use crate::{
    error::Error,
    http::{Body, Cursor, Flag, Id, ProductName, SignedIn, Sort, Tags, Window, input},
    money::{
        amount::Currency,
        charge::{Replacement, UpgradeCredit},
        period::RecurringPeriod,
    },
    orders::{
        buy::{self, Terms},
        end,
        order_view::Filter,
        quote::Wanted,
        replace::Replaced,
        service, view,
    },
    queue::Wake,
    services::{ServiceChange, Services},
};

input! {
    /// A product to be ordered, configured.
    pub struct OrderCreate {
        /// The product's name for programs.
        pub product: ProductName,
        /// A value for each of its parameters.
        pub parameters: Parameters,
        /// How often to pay; left out for what is paid once.
        pub recurring_period: Option<RecurringPeriod>,
        /// What to pay in.
        pub currency: Currency,
        /// What an upgrade will do with the period that it interrupts; prorate if left out.
        pub upgrade_credit: Option<UpgradeCredit>,
    }
}

input! {
    /// What is to take an order's place; what is left out stays as it is.
    pub struct OrderReplacementCreate {
        /// Another product.
        pub product: Option<ProductName>,
        /// A value for each parameter.
        pub parameters: Parameters,
        /// Another recurring period.
        pub recurring_period: Option<RecurringPeriod>,
        /// What a later upgrade will do with the period that it interrupts.
        pub upgrade_credit: Option<UpgradeCredit>,
        /// When what is delivered follows, if it becomes less; at the end if left out.
        pub service_change: Option<ServiceChange>,
    }
}

input! {
    /// How to cancel.
    pub struct OrderCancelCreate {
        /// When what is delivered ends; at the end if left out.
        pub service_change: Option<ServiceChange>,
    }
}

input! {
    /// What to change of an order.
    pub struct OrderUpdate {
        /// When what is delivered follows the downgrade or cancellation that is ahead.
        pub service_change: ServiceChange,
    }
}

#[derive(ApiResponse)]
pub(super) enum OrderCreated {
    /// Ordered.
    #[oai(status = 201)]
    Created(
        Json<OrderBody>,
        /// Where the order is.
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
        /// Where the new order is.
        #[oai(header = "Location")]
        String,
    ),
}

impl OrderCreate {
    pub(super) async fn wanted(self, db: &PgPool) -> Result<Wanted, Error> {
        Ok(Wanted {
            product: product(db, &self.product.0).await?,
            parameters: self.parameters.0,
            recurring_period: self.recurring_period,
            currency: self.currency,
            upgrade_credit: self.upgrade_credit.unwrap_or(UpgradeCredit::Prorate),
        })
    }
}

/// The answer to a replacement; `place` is where orders are for the caller.
pub(super) async fn replaced(
    db: &PgPool,
    place: &str,
    own: Option<i64>,
    replaced: &Replaced,
) -> Result<OrderReplaced, Error> {
    let replacement = match replaced.replacement {
        Replacement::Upgrade => "upgrade",
        Replacement::Downgrade => "downgrade",
    };
    let old = view::read(db, (replaced.old.order_id, own)).await?.try_into()?;
    let new = view::read(db, (replaced.new.order_id, own)).await?.try_into()?;
    let body = ReplacedBody { replacement: replacement.to_owned(), old, new };
    Ok(OrderReplaced::Replaced(Json(body), format!("{place}/{}", replaced.new.order_id)))
}

impl OrderReplacementCreate {
    /// What is to take the place of an order of the catalogue.
    pub(super) async fn wanted(self, db: &PgPool, whose: (i64, Option<i64>)) -> Result<(Wanted, ServiceChange), Error> {
        let old = view::read(db, whose).await?;
        let Some(name) = self.product.map(|name| name.0).or_else(|| old.product.clone()) else {
            return Err(Error::field("product", format!("is missing: order {} was agreed by hand", old.order_id)));
        };
        let wanted = Wanted {
            product: product(db, &name).await?,
            parameters: self.parameters.0,
            recurring_period: self.recurring_period.map_or_else(|| old.period(), |it| Ok(Some(it)))?,
            currency: old.currency.parse().map_err(anyhow::Error::new)?,
            upgrade_credit: self.upgrade_credit.unwrap_or(old.upgrade_credit),
        };
        Ok((wanted, self.service_change.unwrap_or_default()))
    }
}

/// A page of the orders that match.
pub(super) async fn list(db: &PgPool, filter: &Filter, window: Window) -> Result<Json<OrderList>, Error> {
    let (orders, next) = window.page(view::list(db, filter, window).await?, |order| order.order_id);
    let items = orders.into_iter().map(OrderBody::try_from).collect::<Result<_, _>>()?;
    Ok(Json(OrderList { items, next }))
}

pub(super) async fn read(db: &PgPool, whose: (i64, Option<i64>)) -> Result<Json<OrderBody>, Error> {
    Ok(Json(view::read(db, whose).await?.try_into()?))
}

/// The operations on orders; everybody's own.
pub struct OrderApi {
    /// Where the orders are.
    pub pool: PgPool,
    /// Wakes the relay.
    pub wake: Arc<Wake>,
    /// What realises orders.
    pub services: Services,
}

#[OpenApi(prefix_path = "/v1/order", tag = "Tags::Orders")]
impl OrderApi {
    /// Ask for a price
    ///
    /// Every part of the price, the VAT that I would pay, and what would keep me from ordering. Nothing is written.
    #[oai(path = "/quote", method = "post", operation_id = "order_quote")]
    async fn quote(&self, caller: SignedIn, body: Body<OrderCreate>) -> Result<Json<QuoteBody>, Error> {
        let wanted = body.0.wanted(&self.pool).await?;
        let (quote, vat) = buy::quote(&self.pool, self.services, &caller.0, wanted).await?;
        Ok(Json(QuoteBody::new(quote, vat)?))
    }

    /// Order a product
    ///
    /// A VPN network is made with its order; what staff deliver waits in their list.
    #[oai(path = "/", method = "post", operation_id = "order_create")]
    async fn create(&self, caller: SignedIn, body: Body<OrderCreate>) -> Result<OrderCreated, Error> {
        let user_id = caller.0.user_id;
        let wanted = body.0.wanted(&self.pool).await?;
        let order_id =
            buy::order(&self.pool, self.services, &caller.0, user_id, Terms::Catalogue(wanted), None).await?;
        self.wake.queued();
        let order = read(&self.pool, (order_id, Some(user_id))).await?;
        Ok(OrderCreated::Created(order, format!("/v1/order/{order_id}")))
    }

    /// List my orders
    ///
    /// The oldest first unless `sort` says otherwise, in pages.
    #[oai(path = "/", method = "get", operation_id = "order_list")]
    async fn list(
        &self,
        caller: SignedIn,
        /// Those of which something is still to be billed, or those that are done with.
        open: Query<Option<Flag>>,
        /// Orders on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<OrderList>, Error> {
        let open = open.0.map(|flag| flag.0);
        let filter = Filter { user_id: Some(caller.0.user_id), open, ..Filter::default() };
        list(&self.pool, &filter, Window::new(limit.0, cursor.0, sort.0)?).await
    }

    /// Read an order
    ///
    /// With what it costs, from when to when, and what is delivered for it.
    #[oai(path = "/:id", method = "get", operation_id = "order_read")]
    async fn read(
        &self,
        caller: SignedIn,
        /// Identifies the order.
        id: Path<Id>,
    ) -> Result<Json<OrderBody>, Error> {
        read(&self.pool, (id.0.0, Some(caller.0.user_id))).await
    }

    /// Replace an order
    ///
    /// What costs as much or more per second takes effect now (upgrade), what costs less at the end of what is committed
    /// (downgrade). A downgrade that is still ahead gives way to a later replacement.
    #[oai(path = "/:id/replace", method = "post", operation_id = "order_replace")]
    async fn replace(
        &self,
        caller: SignedIn,
        /// Identifies the order.
        id: Path<Id>,
        body: Body<OrderReplacementCreate>,
    ) -> Result<OrderReplaced, Error> {
        let whose = (id.0.0, Some(caller.0.user_id));
        let (wanted, change) = body.0.wanted(&self.pool, whose).await?;
        let done = buy::replace_order(&self.pool, self.services, &caller.0, whose, wanted, change).await?;
        replaced(&self.pool, "/v1/order", whose.1, &done).await
    }

    /// Cancel an order
    ///
    /// Charging ends at the first boundary after what is committed. Cancelling again changes when the service ends.
    #[oai(path = "/:id/cancel", method = "post", operation_id = "order_cancel")]
    async fn cancel(
        &self,
        caller: SignedIn,
        /// Identifies the order.
        id: Path<Id>,
        body: Body<OrderCancelCreate>,
    ) -> Result<Json<OrderBody>, Error> {
        let whose = (id.0.0, Some(caller.0.user_id));
        end::cancel_order(&self.pool, self.services, whose, body.0.service_change.unwrap_or_default()).await?;
        self.wake.queued();
        read(&self.pool, whose).await
    }

    /// Choose when what is delivered changes
    ///
    /// Until a downgrade or a cancellation has changed it.
    #[oai(path = "/:id", method = "patch", operation_id = "order_update")]
    async fn edit(
        &self,
        caller: SignedIn,
        /// Identifies the order.
        id: Path<Id>,
        body: Body<OrderUpdate>,
    ) -> Result<Json<OrderBody>, Error> {
        let whose = (id.0.0, Some(caller.0.user_id));
        service::choose(&self.pool, self.services, whose, body.0.service_change).await?;
        self.wake.queued();
        read(&self.pool, whose).await
    }
}
