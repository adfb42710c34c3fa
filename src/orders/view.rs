//! Queries of orders as they are shown.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use super::{db, order_view::Filter};
use crate::{error::Error, http::PageQuery, orders::order_view::OrderView, request_context};

/// Returns the last second of a span that ends before `to`; none for an empty span.
pub fn last_second(from: DateTime<Utc>, to: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    to.filter(|to| *to > from).map(|to| to - TimeDelta::seconds(1))
}

/// Returns the orders of a page, and one more if there are more.
pub async fn list(db: &PgPool, filter: &Filter, window: PageQuery) -> Result<Vec<OrderView>, Error> {
    let mut search = request_context::begin_search(db).await?;
    let views = db::views(&mut *search, filter, window).await?;
    search.commit().await?;
    Ok(views)
}

/// Returns one order by its id and, if given, the customer that it must belong to.
pub async fn read(db: &PgPool, scoped_id: (i64, Option<i64>)) -> Result<OrderView, Error> {
    let mut search = request_context::begin_search(db).await?;
    let view = read_in(&mut search, scoped_id).await?;
    search.commit().await?;
    Ok(view)
}

/// Works like [`read`] in a transaction of the caller.
pub async fn read_in(tx: &mut PgConnection, (order_id, own): (i64, Option<i64>)) -> Result<OrderView, Error> {
    let filter = Filter { order_id: Some(order_id), user_id: own, ..Filter::default() };
    db::views(tx, &filter, PageQuery::all()).await?.pop().ok_or_else(|| db::not_found(order_id))
}
