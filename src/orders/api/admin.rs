//! Everybody's orders over HTTP; staff only.

use std::sync::Arc;

use chrono::Datelike as _;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
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
    error::{Error, FieldError},
    http::{
        Body, Cursor, Flag, Id, Line, Moment, Number, Price, ProductName, Sort, Staff, Tags, UsernameText, Window,
        input,
    },
    money::{
        amount::{Amount, Currency},
        charge::{Timing, UpgradeCredit},
        period::RecurringPeriod,
    },
    orders::{
        buy::{self, Agreed, Terms},
        end,
        order_view::Filter,
        quote::Wanted,
        service,
    },
    queue::Wake,
    services::Services,
};

/// Accounts go no further back, and orders no further ahead.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2099;

input! {
    /// An order for a customer: a product of the catalogue with its parameters, or a description with prices that were agreed on.
    pub struct CustomerOrderCreate {
        /// The customer's name.
        pub username: UsernameText,
        /// A product's name for programs.
        pub product: Option<ProductName>,
        /// A value for each of its parameters.
        pub parameters: Parameters<false>,
        /// What was agreed on, as bills call it; instead of a product.
        pub description: Option<Line<500>>,
        /// Agreed: what is paid once, before VAT; nothing if left out.
        pub one_time: Option<Price>,
        /// Agreed: what is paid for each period, before VAT; nothing if left out.
        pub recurring: Option<Price>,
        /// Agreed: whether a period is billed when it begins or when it has ended; in advance if left out.
        pub billing_mode: Option<Timing>,
        /// Agreed: periods that can't be cancelled; 1 if left out.
        pub commitment_periods: Option<Number<0, 1000>>,
        /// How often to pay; left out for what is paid once.
        pub recurring_period: Option<RecurringPeriod>,
        /// What to pay in.
        pub currency: Currency,
        /// What an upgrade will do with the period that it interrupts; prorate if left out.
        pub upgrade_credit: Option<UpgradeCredit>,
        /// When charging begins, also in the past; now if left out.
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
                let errors = superfluous(&agreed, "must be left out: the product says so");
                if !errors.is_empty() {
                    return Err(Error::Invalid(errors));
                }
                Ok(Terms::Catalogue(Wanted {
                    product: product(db, &name.0).await?,
                    parameters: self.parameters.0,
                    recurring_period,
                    currency: self.currency,
                    upgrade_credit,
                }))
            }
            (None, None) => Err(Error::field("product", "is missing; name a product, or describe what was agreed on")),
            (None, Some(description)) => {
                let once = recurring_period.is_none();
                let mut errors = superfluous(
                    &[("parameters", !self.parameters.0.is_empty())],
                    "must be left out: there is no product",
                );
                let recurs = [
                    ("recurring", self.recurring.is_some()),
                    ("commitment_periods", self.commitment_periods.is_some()),
                ];
                if once {
                    errors.extend(superfluous(&recurs, "needs a recurring_period"));
                }
                if !errors.is_empty() {
                    return Err(Error::Invalid(errors));
                }
                Ok(Terms::Agreed(Agreed {
                    description: description.0,
                    currency: self.currency,
                    one_time: self.one_time.map_or(Amount::ZERO, |price| price.0),
                    recurring: self.recurring.map_or(Amount::ZERO, |price| price.0),
                    recurring_period,
                    billing_mode: self.billing_mode.unwrap_or(Timing::Advance),
                    commitment_periods: self.commitment_periods.map_or(u32::from(!once), Number::get),
                    upgrade_credit,
                }))
            }
        }
    }
}

/// The operations on everybody's orders.
pub struct AdminOrderApi {
    /// Where the orders are.
    pub pool: PgPool,
    /// Wakes the relay.
    pub wake: Arc<Wake>,
    /// What realises orders.
    pub services: Services,
}

#[OpenApi(prefix_path = "/v1/admin/order", tag = "Tags::Orders")]
impl AdminOrderApi {
    /// List orders
    ///
    /// Everybody's, the oldest first unless `sort` says otherwise, in pages.
    #[expect(clippy::too_many_arguments, reason = "the framework's way to say which parameters there are")]
    #[oai(path = "/", method = "get", operation_id = "admin_order_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Those of the user with this name.
        username: Query<Option<UsernameText>>,
        /// Those of this product.
        product: Query<Option<ProductName>>,
        /// Those of which something is still to be billed, or those that are done with.
        open: Query<Option<Flag>>,
        /// Those that staff have to deliver or terminate now.
        needs_action: Query<Option<Flag>>,
        /// Orders on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
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
        list(&self.pool, &filter, Window::new(limit.0, cursor.0, sort.0)?).await
    }

    /// Read a customer's order
    ///
    /// As its customer sees it.
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
    /// A product, or what was agreed by hand. Bills go back to where charging begins.
    #[oai(path = "/", method = "post", operation_id = "admin_order_create")]
    async fn create(&self, staff: Staff, body: Body<CustomerOrderCreate>) -> Result<OrderCreated, Error> {
        let name = &body.0.username.0;
        let customer = accounts::find(&self.pool, name).await?;
        let customer = customer.ok_or_else(|| Error::field("username", format!("{} is not known", name.as_str())))?;
        let starts_at = body.0.starts_at.map(|time| time.0);
        if starts_at.is_some_and(|time| !YEARS.contains(&time.year())) {
            return Err(Error::field("starts_at", "must lie in the years 2000 to 2099"));
        }
        let terms = body.0.terms(&self.pool).await?;
        let order_id = buy::order(&self.pool, self.services, &staff.0, customer.user_id, terms, starts_at).await?;
        self.wake.queued();
        let order = read(&self.pool, (order_id, None)).await?;
        Ok(OrderCreated::Created(order, format!("/v1/admin/order/{order_id}")))
    }

    /// Replace a customer's order
    ///
    /// As the customer can: what it costs and delivers changes, and the old order ends when the new one begins.
    #[oai(path = "/:id/replace", method = "post", operation_id = "admin_order_replace")]
    async fn replace(
        &self,
        staff: Staff,
        /// Identifies the order.
        id: Path<Id>,
        body: Body<OrderReplacementCreate>,
    ) -> Result<OrderReplaced, Error> {
        let whose = (id.0.0, None);
        let (wanted, change) = body.0.wanted(&self.pool, whose).await?;
        let done = buy::replace_order(&self.pool, self.services, &staff.0, whose, wanted, change).await?;
        replaced(&self.pool, "/v1/admin/order", None, &done).await
    }

    /// Cancel a customer's order
    ///
    /// As the customer can; commitments hold here too.
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

    /// Choose when what is delivered changes
    ///
    /// As the customer can.
    #[oai(path = "/:id", method = "patch", operation_id = "admin_order_update")]
    async fn edit(
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

    /// Record that an order is delivered
    ///
    /// The service of the order that it replaces is terminated with that.
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
    /// Only after the order was cancelled, and not before its service is to end.
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
