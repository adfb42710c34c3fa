//! What is on sale; for everybody, as price lists are.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::ToJSON as _,
};
use sqlx::PgPool;

use crate::{
    catalog::{
        db,
        product::{Component, Parameter, ParameterPrice, Price, Product, ProductRef},
    },
    error::Error,
    http::{self, Cursor, Id, NamedWindow, Shown, Tags, named_sort},
    money::{amount::Currency, charge::Timing, period::RecurringPeriod},
    services::Delivery,
};

/// Something that can be bought.
#[derive(Debug, Object)]
#[oai(rename = "Product", skip_serializing_if_is_none)]
pub(super) struct ProductBody {
    /// Identifies it.
    id: i64,
    /// Its name for programs; it never changes.
    name: String,
    /// Its name for people.
    title: String,
    /// What it is.
    description: String,
    delivery: Delivery,
    billing_mode: Timing,
    /// From when on it can be bought.
    sale_from: DateTime<Utc>,
    /// From when on it no longer can; absent while nobody knows.
    sale_until: Option<DateTime<Utc>>,
    /// What the customer chooses. A bundle's customer also chooses the parameters of its components.
    parameters: Vec<ParameterBody>,
    /// What it costs, for each recurring period and currency. A bundle's components cost besides.
    prices: Vec<PriceBody>,
    /// What the customer must have, or order along.
    requires: Vec<RequirementBody>,
    /// What it consists of, if it is a bundle.
    components: Vec<ComponentBody>,
}

/// What a customer chooses of a product.
#[derive(Debug, Object)]
#[oai(rename = "ProductParameter")]
struct ParameterBody {
    /// Its name for programs.
    name: String,
    /// What is counted.
    unit: String,
    /// The smallest value.
    minimum: i32,
    /// The largest value.
    maximum: i32,
    /// Values are whole steps from the minimum.
    step: i32,
}

/// What a product costs for a recurring period in a currency.
#[derive(Debug, Object)]
#[oai(rename = "ProductPrice", skip_serializing_if_is_none)]
struct PriceBody {
    /// How often the recurring price is paid; absent where all is paid once.
    recurring_period: Option<RecurringPeriod>,
    /// Of all amounts.
    currency: Currency,
    /// Once.
    one_time: http::Price,
    /// For each period.
    recurring: http::Price,
    /// Periods that can't be cancelled. A bundle's own count, not those of its components.
    commitment_periods: u32,
    /// What one unit of a parameter costs besides; what is missing costs nothing.
    parameters: Vec<ParameterPriceBody>,
}

/// What one unit of a parameter costs.
#[derive(Debug, Object)]
#[oai(rename = "ProductParameterPrice")]
struct ParameterPriceBody {
    /// Which parameter.
    name: String,
    /// Once.
    one_time: http::Price,
    /// For each period.
    recurring: http::Price,
}

/// A product that another one needs.
#[derive(Debug, Object)]
#[oai(rename = "ProductRequirement")]
struct RequirementBody {
    /// Identifies it.
    id: i64,
    /// Its name for programs.
    name: String,
}

/// A product as a part of a bundle.
#[derive(Debug, Object)]
#[oai(rename = "ProductComponent")]
struct ComponentBody {
    /// Identifies the product.
    id: i64,
    /// Its name for programs.
    name: String,
    /// Its name for people.
    title: String,
    /// How many of it.
    quantity: i32,
    /// Its parameters, which the bundle's customer chooses.
    parameters: Vec<ParameterBody>,
    /// Its prices.
    prices: Vec<PriceBody>,
}

/// A page of products.
#[derive(Debug, Object)]
#[oai(rename = "ProductList", skip_serializing_if_is_none)]
pub(super) struct ProductList {
    /// In the order asked for.
    pub(super) items: Vec<ProductBody>,
    /// Cursor of the next page; absent on the last.
    pub(super) next: Option<String>,
}

impl From<Parameter> for ParameterBody {
    fn from(parameter: Parameter) -> Self {
        let Parameter { name, unit, minimum, maximum, step } = parameter;
        Self { name, unit, minimum, maximum, step }
    }
}

impl From<Price> for PriceBody {
    fn from(price: Price) -> Self {
        let of_parameter = |ParameterPrice { parameter, one_time, recurring }| ParameterPriceBody {
            name: parameter,
            one_time: http::Price(one_time),
            recurring: http::Price(recurring),
        };
        Self {
            recurring_period: price.period,
            currency: price.currency,
            one_time: http::Price(price.one_time),
            recurring: http::Price(price.recurring),
            commitment_periods: price.commitment_periods,
            parameters: price.parameters.into_iter().map(of_parameter).collect(),
        }
    }
}

impl From<Component> for ComponentBody {
    fn from(component: Component) -> Self {
        Self {
            id: component.product.product_id,
            name: component.product.name,
            title: component.title,
            quantity: component.quantity,
            parameters: component.parameters.into_iter().map(Into::into).collect(),
            prices: component.prices.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Product> for ProductBody {
    fn from(product: Product) -> Self {
        let requirement = |ProductRef { product_id, name }| RequirementBody { id: product_id, name };
        Self {
            id: product.product_id,
            name: product.name,
            title: product.title,
            description: product.description,
            delivery: product.delivery,
            billing_mode: product.billing_mode,
            sale_from: product.sale_from,
            sale_until: product.sale_until,
            parameters: product.parameters.into_iter().map(Into::into).collect(),
            prices: product.prices.into_iter().map(Into::into).collect(),
            requires: product.requires.into_iter().map(requirement).collect(),
            components: product.components.into_iter().map(Into::into).collect(),
        }
    }
}

impl Shown for Product {
    fn shown(self) -> Option<serde_json::Value> {
        ProductBody::from(self).to_json()
    }
}

named_sort! {
    /// How products are sorted.
    ProductSort, "name:asc", "name:desc"
}

/// A page of all products, or of those on sale.
pub(super) async fn list(pool: &PgPool, on_sale: bool, window: NamedWindow) -> Result<Json<ProductList>, Error> {
    let ids = db::ids(pool, on_sale, &window).await?;
    let products = db::products(pool, &ids, None, None).await?;
    let (products, next) = window.page(products, |product| product.product_id, |product| &product.name);
    Ok(Json(ProductList { items: products.into_iter().map(Into::into).collect(), next }))
}

/// The operations.
pub struct ProductApi {
    /// Where the catalogue is.
    pub pool: PgPool,
}

#[OpenApi(prefix_path = "/v1/product", tag = "Tags::Products")]
impl ProductApi {
    /// List what is on sale
    ///
    /// The price list; it takes no credentials.
    #[oai(path = "/", method = "get", operation_id = "product_list")]
    async fn list(
        &self,
        /// Products on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
        #[oai(default)]
        sort: Query<ProductSort>,
    ) -> Result<Json<ProductList>, Error> {
        list(&self.pool, true, sort.0.window(limit.0, cursor.0)?).await
    }

    /// Read a product that is on sale
    ///
    /// With what can be chosen, and what it costs for each recurring period and currency.
    #[oai(path = "/:id", method = "get", operation_id = "product_read")]
    async fn read(
        &self,
        /// Identifies the product.
        id: Path<Id>,
    ) -> Result<Json<ProductBody>, Error> {
        let now = crate::clock::now(&self.pool).await?;
        let product = db::load(&self.pool, id.0.0).await?.filter(|product| product.is_on_sale(now));
        let not_found = || Error::NotFound(format!("no product {} is on sale; see /v1/product", id.0.0).into());
        Ok(Json(product.ok_or_else(not_found)?.into()))
    }
}
