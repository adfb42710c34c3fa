//! The queries that read whole products.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use sqlx::{PgExecutor, types::Json};

use crate::{
    catalog::product::{Parameter, ParameterPrice, Price, Product, ProductRef},
    error::Error,
    http::{NamedPageQuery, in_order},
    money::{
        amount::Rate,
        charge::BillingMode,
        language::Language,
        period::{RecurringPeriod, Unit},
        unit_price::UnitPriceError,
    },
    services::Delivery,
};

/// A price as stored in the database.
#[derive(Debug, Deserialize)]
struct PriceRow {
    unit: Option<Unit>,
    count: Option<i32>,
    currency: String,
    one_time_micros: i64,
    recurring_micros: i64,
    commitment_periods: u32,
    parameters: Vec<ParameterPriceRow>,
}

#[derive(Debug, Deserialize)]
struct ParameterPriceRow {
    parameter: String,
    one_time_micros: i64,
    recurring_micros: i64,
}

#[derive(Debug, Deserialize)]
struct ComponentRow {
    component_id: i64,
    quantity: i32,
}

impl TryFrom<PriceRow> for Price {
    type Error = anyhow::Error;

    fn try_from(row: PriceRow) -> anyhow::Result<Self> {
        let period = row.unit.zip(row.count).map(|(unit, count)| RecurringPeriod::new(unit, count)).transpose()?;
        let parameter = |row: ParameterPriceRow| {
            Ok(ParameterPrice {
                parameter: row.parameter,
                one_time: row.one_time_micros.try_into()?,
                recurring: row.recurring_micros.try_into()?,
            })
        };
        Ok(Self {
            period,
            currency: row.currency.parse()?,
            one_time: row.one_time_micros.try_into()?,
            recurring: row.recurring_micros.try_into()?,
            commitment_periods: row.commitment_periods,
            parameters: row.parameters.into_iter().map(parameter).collect::<Result<_, UnitPriceError>>()?,
        })
    }
}

/// Returns a whole product as of one moment, with one query. [`price`](super::price()) checks if the product is on
/// sale.
pub async fn load(db: impl PgExecutor<'_>, product_id: i64) -> Result<Option<Product>, Error> {
    Ok(products(db, &[product_id], None, None).await?.pop())
}

/// Works like [`load`] with the product's name for programs.
pub async fn load_named(db: impl PgExecutor<'_>, name: &str) -> Result<Option<Product>, Error> {
    Ok(products(db, &[], Some(name), None).await?.pop())
}

/// Works like [`load`] for the first product on sale that is provisioned in this way.
pub async fn load_delivering(db: impl PgExecutor<'_>, delivery: Delivery) -> Result<Option<Product>, Error> {
    Ok(products(db, &[], None, Some(delivery)).await?.pop())
}

/// Returns these products with all their details, in the order of `ids`. One query, so that no change comes between.
pub(in crate::catalog) async fn products(
    db: impl PgExecutor<'_>,
    ids: &[i64],
    name: Option<&str>,
    delivery: Option<Delivery>,
) -> Result<Vec<Product>, Error> {
    let rows = sqlx::query!(
        r#"with asked as (
               select product_id from product where product_id = any($1) or name = $2
               union all
               (select product_id from product
                where delivery = $3 and sale_from <= now() and (sale_until > now()) is not false
                order by product_id limit 1))
           select product_id, name, title, titles as "titles: Json<BTreeMap<Language, String>>", description, delivery as "delivery: Delivery", billing_mode as "billing_mode: BillingMode",
                  sale_from, sale_until, created_at,
                  (select rate_ppm from vat_rate
                   join (select country, vat_number, time_zone from seller order by seller_id desc limit 1) seller
                       on seller.country = territory and vat_number is not null
                   where starts_on <= (now() at time zone seller.time_zone)::date
                       and (ends_on > (now() at time zone seller.time_zone)::date) is not false) as vat_ppm,
                  product_id in (select product_id from asked) as "asked!",
                  (select coalesce(jsonb_agg(parameter order by name), '[]')
                   from product_parameter parameter
                   where parameter.product_id = product.product_id) as "parameters!: Json<Vec<Parameter>>",
                  (select coalesce(jsonb_agg(jsonb_build_object(
                       'unit', unit, 'count', count, 'currency', currency, 'one_time_micros', one_time_micros,
                       'recurring_micros', recurring_micros, 'commitment_periods', commitment_periods,
                       'parameters', (select coalesce(jsonb_agg(besides order by parameter), '[]')
                                      from product_parameter_price besides where besides.price_id = price.price_id))
                       order by price_id), '[]')
                   from product_price price left join recurring_period using (period_id)
                   where price.product_id = product.product_id) as "prices!: Json<Vec<PriceRow>>",
                  (select coalesce(jsonb_agg(jsonb_build_object('product_id', required_id, 'name', required.name)
                                             order by required_id), '[]')
                   from product_requirement requirement join product required on required.product_id = required_id
                   where requirement.product_id = product.product_id) as "requires!: Json<Vec<ProductRef>>",
                  (select coalesce(jsonb_agg(component order by component_id), '[]')
                   from product_component component where bundle_id = product.product_id) as "components!: Json<Vec<ComponentRow>>"
           from product
           where product_id in (select product_id from asked
                                union select component_id from product_component join asked on bundle_id = asked.product_id)
           order by array_position($1, product_id), product_id"#,
        ids,
        name,
        delivery as Option<Delivery>,
    )
    .fetch_all(db)
    .await?;
    let mut requested = Vec::new();
    let mut known = HashMap::new();
    for row in rows {
        let product = Product {
            product_id: row.product_id,
            name: row.name,
            title: row.title,
            titles: row.titles.0,
            vat: row.vat_ppm.map(Rate::try_from).transpose().map_err(anyhow::Error::new)?,
            description: row.description,
            delivery: row.delivery,
            billing_mode: row.billing_mode,
            sale_from: row.sale_from,
            sale_until: row.sale_until,
            created_at: row.created_at,
            parameters: row.parameters.0,
            prices: row.prices.0.into_iter().map(Price::try_from).collect::<anyhow::Result<_>>()?,
            requires: row.requires.0,
            components: Vec::new(),
        };
        if row.asked {
            requested.push((product.product_id, row.components.0));
        }
        known.insert(product.product_id, product);
    }
    let whole = |(id, components): (i64, Vec<ComponentRow>)| {
        let components =
            components.iter().filter_map(|row| Some(known.get(&row.component_id)?.as_component(row.quantity)));
        let components = components.collect();
        Some(Product { components, ..known.get(&id)?.clone() })
    };
    Ok(requested.into_iter().filter_map(whole).collect())
}

/// Returns the ids of a page of all products, or only of those on sale. Products are never deleted.
pub(in crate::catalog) async fn ids(
    db: impl PgExecutor<'_>,
    on_sale: bool,
    window: &NamedPageQuery,
) -> sqlx::Result<Vec<i64>> {
    in_order!(
        window,
        db,
        query_scalar,
        id "product_id",
        name "name",
        "select product_id from product
         where (not $3 or (sale_from <= now() and (sale_until is null or sale_until > now())))",
        on_sale,
    )
}

/// Returns all recurring periods, by id.
pub(in crate::catalog) async fn periods(db: impl PgExecutor<'_>) -> Result<Vec<(i64, RecurringPeriod)>, Error> {
    let rows =
        sqlx::query!(r#"select period_id, unit as "unit: Unit", count from recurring_period order by period_id"#);
    let rows = rows.fetch_all(db).await?.into_iter();
    let periods = rows.map(|row| Ok((row.period_id, RecurringPeriod::new(row.unit, row.count)?)));
    Ok(periods.collect::<anyhow::Result<_>>()?)
}
