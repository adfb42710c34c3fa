//! Queries of orders as they are shown.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgExecutor;

use super::{db, order_view::Filter};
use crate::{database::Database, error::Error, http::PageQuery, orders::order_view::OrderView};

/// Returns the last second of a span that ends before `to`; none for an empty span.
pub fn last_second(from: DateTime<Utc>, to: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    to.filter(|to| *to > from).map(|to| to - TimeDelta::seconds(1))
}

/// Returns the orders of a page, and one more if there are more.
pub async fn list(db: &Database, filter: &Filter, window: PageQuery) -> Result<Vec<OrderView>, Error> {
    Ok(db::views(&db.search(), filter, window).await?)
}

/// Returns one order by its id and, if given, the customer that it must belong to.
pub async fn read(db: impl PgExecutor<'_>, (order_id, own): (i64, Option<i64>)) -> Result<OrderView, Error> {
    let filter = Filter { user_id: own, ..Filter::default() };
    db::views(db, &filter, PageQuery::only(order_id)).await?.pop().ok_or_else(|| db::not_found(order_id))
}
