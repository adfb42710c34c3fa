//! The API's operations on products that are on sale. They are public, like price lists.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    types::ToJSON as _,
};

use crate::{
    catalog::{
        db,
        product::{Component, Parameter, ParameterPrice, Price, Product, ProductRef},
    },
    database::Database,
    error::Error,
    http::{Cursor, Id, Json, NamedPageQuery, Representation, Tags, named_sort},
    money::{
        amount::{Currency, Rate},
        charge::BillingMode,
        language::Language,
        period::RecurringPeriod,
        unit_price::UnitPrice,
    },
    services::Delivery,
};

/// A product of the catalogue.
#[derive(Debug, Object)]
#[oai(rename = "Product", skip_serializing_if_is_none)]
pub(super) struct ProductBody {
    /// Identifies the product.
    id: i64,
    /// The product's name for programs, which never changes.
    name: String,
    /// The product's name for people.
    title: String,
    /// The product's name in other languages.
    titles: Vec<TitleBody>,
    /// The product's description.
    description: String,
    delivery: Delivery,
    billing_mode: BillingMode,
    /// The time from which customers can buy the product.
    sale_from: DateTime<Utc>,
    /// The time from which customers can no longer buy the product; absent if not set.
    sale_until: Option<DateTime<Utc>>,
    /// The parameters that customers choose. The customer of a bundle also chooses the parameters of its components.
    parameters: Vec<ParameterBody>,
    /// The product's prices, for each recurring period and currency. The prices of a bundle's components are added.
    prices: Vec<PriceBody>,
    /// The products that the customer must have or order as well.
    requires: Vec<RequirementBody>,
    /// The components of a bundle.
    components: Vec<ComponentBody>,
}

/// A parameter of a product, which the customer chooses.
#[derive(Debug, Object)]
#[oai(rename = "ProductParameter")]
struct ParameterBody {
    /// The parameter's name for programs.
    name: String,
    /// The unit that is counted.
    unit: String,
    /// The words after the number on bills, in each language.
    words: Vec<WordsBody>,
    /// The smallest value.
    minimum: i32,
    /// The largest value.
    maximum: i32,
    /// The step: values are multiples of it above the minimum.
    step: i32,
}

/// A product's name in another language.
#[derive(Debug, Object)]
#[oai(rename = "ProductTitle")]
struct TitleBody {
    language: Language,
    /// The product's name for people.
    title: String,
}

/// The words after a quantity of a parameter on bills.
#[derive(Debug, Object)]
#[oai(rename = "ProductParameterWords")]
struct WordsBody {
    language: Language,
    /// After a quantity of one.
    one: String,
    /// After any other quantity.
    other: String,
}

/// The price of a product for a recurring period in a currency.
#[derive(Debug, Object)]
#[oai(rename = "ProductPrice", skip_serializing_if_is_none)]
struct PriceBody {
    /// The recurring period; absent for a one-time purchase.
    recurring_period: Option<RecurringPeriod>,
    /// The currency of all amounts.
    currency: Currency,
    /// The one-time price before VAT.
    one_time: UnitPrice,
    /// The price of each period before VAT.
    recurring: UnitPrice,
    /// The one-time price with the VAT of the seller's country, which consumers there must be shown (Swiss ordinance
    /// PBV, SR 942.211, article 4); absent if the seller charges none. Others pay what the quote says.
    one_time_gross: Option<UnitPrice>,
    /// The price of each period with the VAT of the seller's country.
    recurring_gross: Option<UnitPrice>,
    /// The number of periods that can't be cancelled. A bundle's own number counts, not that of its components.
    commitment_periods: u32,
    /// The additional price of one unit of each parameter; a parameter that is not listed is free.
    parameters: Vec<ParameterPriceBody>,
}

/// The price of one unit of a parameter.
#[derive(Debug, Object)]
#[oai(rename = "ProductParameterPrice", skip_serializing_if_is_none)]
struct ParameterPriceBody {
    /// The name of the parameter.
    name: String,
    /// The one-time price before VAT.
    one_time: UnitPrice,
    /// The price of each period before VAT.
    recurring: UnitPrice,
    /// The one-time price with the VAT of the seller's country; absent if the seller charges none.
    one_time_gross: Option<UnitPrice>,
    /// The price of each period with the VAT of the seller's country.
    recurring_gross: Option<UnitPrice>,
}

/// A product that another product requires.
#[derive(Debug, Object)]
#[oai(rename = "ProductRequirement")]
struct RequirementBody {
    /// Identifies the product.
    id: i64,
    /// The product's name for programs.
    name: String,
}

/// A product as a component of a bundle.
#[derive(Debug, Object)]
#[oai(rename = "ProductComponent")]
struct ComponentBody {
    /// Identifies the product.
    id: i64,
    /// The product's name for programs.
    name: String,
    /// The product's name for people.
    title: String,
    /// The quantity in the bundle.
    quantity: i32,
    /// The parameters of the product, which the bundle's customer chooses.
    parameters: Vec<ParameterBody>,
    /// The prices of the product.
    prices: Vec<PriceBody>,
}

/// A page of products.
#[derive(Debug, Object)]
#[oai(rename = "ProductList", skip_serializing_if_is_none)]
pub(super) struct ProductList {
    /// The products, in the requested sort order.
    pub(super) items: Vec<ProductBody>,
    /// The cursor of the next page; absent on the last page.
    pub(super) next: Option<String>,
}

impl From<Parameter> for ParameterBody {
    fn from(parameter: Parameter) -> Self {
        let Parameter { name, unit, words, minimum, maximum, step } = parameter;
        let words = words.into_iter().map(|(language, [one, other])| WordsBody { language, one, other }).collect();
        Self { name, unit, words, minimum, maximum, step }
    }
}

impl PriceBody {
    fn new(price: Price, vat: Option<Rate>) -> Self {
        let gross = |price: UnitPrice| price.try_add(price.tax(vat?)).ok();
        let of_parameter = |ParameterPrice { parameter, one_time, recurring }| ParameterPriceBody {
            name: parameter,
            one_time,
            recurring,
            one_time_gross: gross(one_time),
            recurring_gross: gross(recurring),
        };
        Self {
            recurring_period: price.period,
            currency: price.currency,
            one_time: price.one_time,
            recurring: price.recurring,
            one_time_gross: gross(price.one_time),
            recurring_gross: gross(price.recurring),
            commitment_periods: price.commitment_periods,
            parameters: price.parameters.into_iter().map(of_parameter).collect(),
        }
    }
}

impl ComponentBody {
    fn new(component: Component, vat: Option<Rate>) -> Self {
        Self {
            id: component.product.product_id,
            name: component.product.name,
            title: component.title,
            quantity: component.quantity,
            parameters: component.parameters.into_iter().map(Into::into).collect(),
            prices: component.prices.into_iter().map(|price| PriceBody::new(price, vat)).collect(),
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
            titles: product.titles.into_iter().map(|(language, title)| TitleBody { language, title }).collect(),
            description: product.description,
            delivery: product.delivery,
            billing_mode: product.billing_mode,
            sale_from: product.sale_from,
            sale_until: product.sale_until,
            parameters: product.parameters.into_iter().map(Into::into).collect(),
            prices: product.prices.into_iter().map(|price| PriceBody::new(price, product.vat)).collect(),
            requires: product.requires.into_iter().map(requirement).collect(),
            components: product.components.into_iter().map(|part| ComponentBody::new(part, product.vat)).collect(),
        }
    }
}

impl Representation for Product {
    fn representation(self) -> Option<serde_json::Value> {
        ProductBody::from(self).to_json()
    }
}

named_sort! {
    /// The sort order of products.
    ProductSort, "name:asc", "name:desc"
}

/// Returns a page of all products, or of those on sale.
pub(super) async fn list(pool: &Database, on_sale: bool, window: NamedPageQuery) -> Result<Json<ProductList>, Error> {
    let ids = db::ids(pool, on_sale, &window).await?;
    let products = db::products(pool, &ids, None, None).await?;
    let (products, next) = window.page(products, |product| product.product_id, |product| &product.name);
    Ok(Json(ProductList { items: products.into_iter().map(Into::into).collect(), next }))
}

/// The public operations on products.
pub struct ProductApi {
    /// The database with the catalogue.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/product", tag = "Tags::Products")]
impl ProductApi {
    /// List the products on sale
    ///
    /// Returns the price list without credentials.
    #[oai(path = "/", method = "get", operation_id = "product_list")]
    async fn list(
        &self,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default)]
        sort: Query<ProductSort>,
    ) -> Result<Json<ProductList>, Error> {
        list(&self.pool, true, sort.0.window(limit.0, cursor.0)?).await
    }

    /// Read a product that is on sale
    ///
    /// Returns the product with its parameters, and its prices for each recurring period and currency.
    #[oai(path = "/:id", method = "get", operation_id = "product_read")]
    async fn read(
        &self,
        /// Identifies the product.
        id: Path<Id>,
    ) -> Result<Json<ProductBody>, Error> {
        let now = crate::clock::now(&self.pool).await?;
        let product = db::load(&self.pool, id.0.0).await?.filter(|product| product.is_on_sale(now));
        let not_found =
            || Error::NotFound(format!("product {} is not on sale; GET /v1/product lists the products", id.0.0).into());
        Ok(Json(product.ok_or_else(not_found)?.into()))
    }
}
