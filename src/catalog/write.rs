//! The changes of the catalogue by staff. Each is one transaction, and one runs at a time.

use sqlx::{PgConnection, PgPool};

use super::{
    db,
    draft::ProductDraft,
    product::{Price, Product},
};
use crate::{
    code::Code,
    error::{Error, FieldError, OnConstraint as _},
    http::check_if_match,
    money::period::RecurringPeriod,
};

/// Adds a product to the catalogue.
pub async fn create(pool: &PgPool, name: &str, draft: &ProductDraft) -> Result<Product, Error> {
    match add(pool, name, draft).await? {
        Some(product) => Ok(product),
        None => Err(Error::conflict(
            Code::NameTaken,
            "name",
            format!("the product {name} already exists; update it instead"),
        )),
    }
}

/// Works like [`create`], but returns none if a product of that name already exists, even off sale.
pub async fn add(pool: &PgPool, name: &str, draft: &ProductDraft) -> Result<Option<Product>, Error> {
    let mut tx = crate::request_context::begin(pool).await?;
    db::lock(&mut tx).await?;
    if db::find(&mut tx, name).await?.is_some() {
        return Ok(None);
    }
    let parts = resolved(&mut tx, name, draft).await?;
    let product_id = db::insert(&mut tx, name, draft)
        .await
        .on_constraint("product_sale", || Error::field("sale_until", "must be after sale_from"))?;
    let product = write_parts(&mut tx, product_id, draft, &parts).await?;
    tx.commit().await?;
    Ok(Some(product))
}

/// Replaces everything of a product but its name. Returns none if the product does not exist.
pub async fn update(pool: &PgPool, product_id: i64, draft: &ProductDraft) -> Result<Option<Product>, Error> {
    let mut tx = crate::request_context::begin(pool).await?;
    db::lock(&mut tx).await?;
    let Some(name) = db::name(&mut tx, product_id).await? else { return Ok(None) };
    check_if_match(async { db::load(&mut *tx, product_id).await?.ok_or(Error::PreconditionFailed) }).await?;
    let parts = resolved(&mut tx, &name, draft).await?;
    db::delete_parts(&mut tx, product_id).await?;
    db::update(&mut tx, product_id, draft)
        .await
        .on_constraint("product_component_component_fkey", bundle_in_bundle)
        .on_constraint("product_sale", || Error::field("sale_until", "must be after sale_from"))?;
    let product = write_parts(&mut tx, product_id, draft, &parts).await?;
    tx.commit().await?;
    Ok(Some(product))
}

fn bundle_in_bundle() -> Error {
    let message = "must be omitted: this is itself a component of a bundle, and a bundle contains no bundles";
    Error::field("components", message)
}

/// The ids to which the draft's names refer, in its order.
struct Resolved {
    periods: Vec<Option<i64>>,
    requires: Vec<i64>,
    components: Vec<i64>,
}

/// Returns the rows that a draft names, or all its errors.
async fn resolved(tx: &mut PgConnection, name: &str, draft: &ProductDraft) -> Result<Resolved, Error> {
    let mut errors = draft.errors();
    let mut wrong = |list: &str, index: usize, error: FieldError| {
        errors.push(error.inside(&index.to_string()).inside(list));
    };
    let known = db::periods(&mut *tx).await?;
    let mut periods = Vec::new();
    for (index, price) in draft.prices.iter().enumerate() {
        let row = |period| known.iter().find(|(_, known)| *known == period).map(|(id, _)| *id);
        match price.period.map(|period| row(period).ok_or(period)).transpose() {
            Ok(period) => periods.push(period),
            Err(period) => wrong("prices", index, unknown_period(period, &known)),
        }
    }
    let mut requires = Vec::new();
    for (index, required) in draft.requires.iter().enumerate() {
        match other(tx, name, required).await? {
            Ok((id, _)) => requires.push(id),
            Err(error) => wrong("requires", index, error),
        }
    }
    let mut components = Vec::new();
    for (index, (component, _)) in draft.components.iter().enumerate() {
        match other(tx, name, component).await? {
            Ok((id, false)) => components.push(id),
            Ok((_, true)) => {
                let error = FieldError::new("name", "is a bundle; name its components instead");
                wrong("components", index, error);
            }
            Err(error) => wrong("components", index, error),
        }
    }
    if errors.is_empty() { Ok(Resolved { periods, requires, components }) } else { Err(Error::Invalid(errors)) }
}

/// Returns another product by its name, and true for a bundle.
async fn other(tx: &mut PgConnection, own: &str, name: &str) -> sqlx::Result<Result<(i64, bool), FieldError>> {
    if own == name {
        return Ok(Err(FieldError::new("name", "is this product itself")));
    }
    let unknown = || FieldError::new("name", format!("product {name} not found; GET /v1/admin/product lists them"));
    Ok(db::find(tx, name).await?.ok_or_else(unknown))
}

fn unknown_period(period: RecurringPeriod, known: &[(i64, RecurringPeriod)]) -> FieldError {
    let known: Vec<String> = known.iter().map(|(_, period)| period.to_string()).collect();
    let message = format!(
        "{period} is not a recurring period of this provider: {}; POST /v1/admin/recurring_period adds one",
        known.join(", ")
    );
    FieldError::new("recurring_period", message)
}

/// Writes the details of a product, and checks the result.
async fn write_parts(
    tx: &mut PgConnection,
    product_id: i64,
    draft: &ProductDraft,
    resolved: &Resolved,
) -> Result<Product, Error> {
    for parameter in &draft.parameters {
        db::insert_parameter(tx, product_id, parameter).await?;
    }
    for (price, period_id) in draft.prices.iter().zip(&resolved.periods) {
        db::insert_price(tx, product_id, *period_id, price).await?;
    }
    for required_id in &resolved.requires {
        db::insert_requirement(tx, product_id, *required_id).await?;
    }
    for (component_id, (_, quantity)) in resolved.components.iter().zip(&draft.components) {
        db::insert_component(tx, product_id, *component_id, *quantity).await?;
    }
    let product =
        db::load(&mut *tx, product_id).await?.ok_or_else(|| anyhow::anyhow!("product {product_id} is gone"))?;
    let mut errors = product.unsold_prices();
    errors.extend(product.ambiguous_parameter().map(|message| FieldError::new("components", message)));
    for bundle in db::bundles_with(tx, product_id).await? {
        errors.extend(bundle.ambiguous_parameter().map(|message| FieldError::new("parameters", message)));
    }
    if errors.is_empty() { Ok(product) } else { Err(Error::Invalid(errors)) }
}

impl Product {
    /// Returns the errors of a bundle's prices that no customer could buy, since a component has no such price.
    fn unsold_prices(&self) -> Vec<FieldError> {
        let error = |(index, price): (usize, &Price)| {
            let lacks = self.components.iter().find(|component| component.price(price.offer()).is_none())?;
            let (period, currency) = price.offer();
            let period = period.map_or("paid once".to_owned(), |period| period.to_string());
            let message = format!("the component {} has no price for {period} in {currency}", lacks.product.name);
            Some(FieldError::new("recurring_period", message).inside(&index.to_string()).inside("prices"))
        };
        self.prices.iter().enumerate().filter_map(error).collect()
    }

    /// Returns an error if two parameters of a bundle have the same name, by which customers name them.
    fn ambiguous_parameter(&self) -> Option<String> {
        let own = self.parameters.iter().map(|parameter| (&self.name, &parameter.name));
        let of_components = self.components.iter().flat_map(|component| {
            component.parameters.iter().map(|parameter| (&component.product.name, &parameter.name))
        });
        let mut seen: Vec<(&String, &String)> = Vec::new();
        for (product, name) in own.chain(of_components) {
            if let Some((other, _)) = seen.iter().find(|(_, known)| *known == name) {
                let bundle = &self.name;
                return Some(format!(
                    "{other} and {product} both have a parameter {name}; in the bundle {bundle} each name must be unique"
                ));
            }
            seen.push((product, name));
        }
        None
    }
}
