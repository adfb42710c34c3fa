//! Orders as they are shown.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use super::{db, order_view::Filter};
use crate::{error::Error, http::Window, orders::order_view::OrderView, request_context};

/// The last second of a span that ends before `to`; none of an empty one.
pub fn last_second(from: DateTime<Utc>, to: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    to.filter(|to| *to > from).map(|to| to - TimeDelta::seconds(1))
}

/// Orders in a window, and one more than the window has if there are more.
pub async fn list(db: &PgPool, filter: &Filter, window: Window) -> Result<Vec<OrderView>, Error> {
    let mut search = request_context::begin_search(db).await?;
    let views = db::views(&mut *search, filter, window).await?;
    search.commit().await?;
    Ok(views)
}

/// One order; of `own`, if that is said.
pub async fn read(db: &PgPool, whose: (i64, Option<i64>)) -> Result<OrderView, Error> {
    let mut search = request_context::begin_search(db).await?;
    let view = read_in(&mut search, whose).await?;
    search.commit().await?;
    Ok(view)
}

/// The same in a transaction of the caller.
pub async fn read_in(tx: &mut PgConnection, (order_id, own): (i64, Option<i64>)) -> Result<OrderView, Error> {
    let filter = Filter { order_id: Some(order_id), user_id: own, ..Filter::default() };
    db::views(tx, &filter, Window::all()).await?.pop().ok_or_else(|| db::not_found(order_id))
}
