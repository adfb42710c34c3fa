//! The queries that change the catalogue.

use sqlx::{PgConnection, PgPool, types::Json};

use super::products;
use crate::{
    catalog::{
        draft::ProductDraft,
        product::{Parameter, Price, Product},
    },
    error::Error,
    money::period::{RecurringPeriod, Unit},
};

/// Locks the catalogue for one writer at a time; orders and lists are not affected.
pub(in crate::catalog) async fn lock(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("lock table product in share row exclusive mode").execute(tx).await.map(drop)
}

pub(in crate::catalog) async fn name(tx: &mut PgConnection, product_id: i64) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select name from product where product_id = $1", product_id).fetch_optional(tx).await
}

/// Returns the id of the product of that name, and true for a bundle.
pub(in crate::catalog) async fn find(tx: &mut PgConnection, name: &str) -> sqlx::Result<Option<(i64, bool)>> {
    let row = sqlx::query!("select product_id, bundle from product where name = $1", name).fetch_optional(tx).await?;
    Ok(row.map(|row| (row.product_id, row.bundle)))
}

pub(in crate::catalog) async fn insert(tx: &mut PgConnection, name: &str, draft: &ProductDraft) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "insert into product (name, title, titles, description, delivery, billing_mode, bundle, sale_from, sale_until)
         values ($1, $2, $9, $3, $4, $5, $6, date_trunc('second', coalesce($7, now())),
             date_trunc('second', $8::timestamptz))
         returning product_id",
        name,
        draft.title,
        draft.description,
        draft.delivery as _,
        draft.billing_mode as _,
        !draft.components.is_empty(),
        draft.sale_from,
        draft.sale_until,
        Json(&draft.titles) as _,
    )
    .fetch_one(tx)
    .await
}

pub(in crate::catalog) async fn update(
    tx: &mut PgConnection,
    product_id: i64,
    draft: &ProductDraft,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update product set title = $2, titles = $9, description = $3, delivery = $4, billing_mode = $5, bundle = $6,
             sale_from = coalesce(date_trunc('second', $7::timestamptz), sale_from),
             sale_until = date_trunc('second', $8::timestamptz)
         where product_id = $1",
        product_id,
        draft.title,
        draft.description,
        draft.delivery as _,
        draft.billing_mode as _,
        !draft.components.is_empty(),
        draft.sale_from,
        draft.sale_until,
        Json(&draft.titles) as _,
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Deletes the prices, parameters, requirements and components of a product.
pub(in crate::catalog) async fn delete_parts(tx: &mut PgConnection, product_id: i64) -> sqlx::Result<()> {
    sqlx::query!("delete from product_price where product_id = $1", product_id).execute(&mut *tx).await?;
    sqlx::query!("delete from product_parameter where product_id = $1", product_id).execute(&mut *tx).await?;
    sqlx::query!("delete from product_requirement where product_id = $1", product_id).execute(&mut *tx).await?;
    sqlx::query!("delete from product_component where bundle_id = $1", product_id).execute(tx).await.map(drop)
}

pub(in crate::catalog) async fn insert_parameter(
    tx: &mut PgConnection,
    product_id: i64,
    parameter: &Parameter,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into product_parameter (product_id, name, unit, minimum, maximum, step, words)
         values ($1, $2, $3, $4, $5, $6, $7)",
        product_id,
        parameter.name,
        parameter.unit,
        parameter.minimum,
        parameter.maximum,
        parameter.step,
        Json(&parameter.words) as _,
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Writes a price of a product and the prices of its parameters.
pub(in crate::catalog) async fn insert_price(
    tx: &mut PgConnection,
    product_id: i64,
    period_id: Option<i64>,
    price: &Price,
) -> sqlx::Result<()> {
    let price_id = sqlx::query_scalar!(
        "insert into product_price (product_id, period_id, currency, one_time_micros, recurring_micros, commitment_periods)
         values ($1, $2, $3, $4, $5, $6) returning price_id",
        product_id,
        period_id,
        price.currency.as_str(),
        price.one_time.micros(),
        price.recurring.micros(),
        price.commitment_periods.cast_signed(),
    )
    .fetch_one(&mut *tx)
    .await?;
    for of_parameter in &price.parameters {
        sqlx::query!(
            "insert into product_parameter_price (price_id, product_id, parameter, one_time_micros, recurring_micros)
             values ($1, $2, $3, $4, $5)",
            price_id,
            product_id,
            of_parameter.parameter,
            of_parameter.one_time.micros(),
            of_parameter.recurring.micros(),
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

pub(in crate::catalog) async fn insert_requirement(
    tx: &mut PgConnection,
    product_id: i64,
    required_id: i64,
) -> sqlx::Result<()> {
    sqlx::query!("insert into product_requirement (product_id, required_id) values ($1, $2)", product_id, required_id)
        .execute(tx)
        .await
        .map(drop)
}

pub(in crate::catalog) async fn insert_component(
    tx: &mut PgConnection,
    bundle_id: i64,
    component_id: i64,
    quantity: i32,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into product_component (bundle_id, component_id, quantity) values ($1, $2, $3)",
        bundle_id,
        component_id,
        quantity
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Returns the bundles that contain a product.
pub(in crate::catalog) async fn bundles_with(tx: &mut PgConnection, product_id: i64) -> Result<Vec<Product>, Error> {
    let ids = sqlx::query_scalar!("select bundle_id from product_component where component_id = $1", product_id)
        .fetch_all(&mut *tx)
        .await?;
    products(tx, &ids, None, None).await
}

/// Adds a recurring period; returns none if it already exists.
pub(in crate::catalog) async fn insert_period(pool: &PgPool, period: RecurringPeriod) -> sqlx::Result<Option<i64>> {
    let mut tx = crate::request_context::begin(pool).await?;
    let id = sqlx::query_scalar!(
        "insert into recurring_period (unit, count) values ($1, $2) on conflict do nothing returning period_id",
        period.unit() as Unit,
        period.count(),
    )
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(id)
}
