//! The price of an order and its blockers. Quotes and orders use the same checks.

use std::{collections::BTreeMap, sync::Arc};

use sqlx::PgConnection;

use super::{NewOrder, PriceComponent, db};
use crate::{
    catalog::{self, Choice, Priced, Product},
    code::Code,
    error::{Error, FieldError},
    money::{amount::Currency, charge::UpgradeCredit, language::Language, period::RecurringPeriod},
    services::{Parameters, Provision, Service, Services, Value},
};

/// A requested configuration of a product.
#[derive(Debug, Clone)]
pub struct OrderRequest {
    /// The product.
    pub product: Product,
    /// The values of the product's parameters, including those of its service.
    pub parameters: Parameters,
    /// The recurring period; none for a one-time purchase.
    pub recurring_period: Option<RecurringPeriod>,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The treatment of time that is already paid when an upgrade interrupts it.
    pub upgrade_credit: UpgradeCredit,
}

/// The price of a configuration, and the blockers of its order.
#[derive(Debug, Clone)]
pub struct Quote {
    /// The requested configuration.
    pub request: OrderRequest,
    /// The price with its components.
    pub priced: Priced,
    /// The provisioning that the service prepared; none if staff provision manually, or if the service that places the
    /// order provisions itself.
    pub provision: Option<Arc<dyn Provision>>,
    /// The blockers that the customer has to remove first.
    pub blockers: Vec<Blocker>,
}

/// A condition that prevents an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// The product is not free, and the customer has no billing address.
    NoBillingAddress,
    /// The product requires another product.
    Requires(String),
}

/// Values of the parameters that the catalogue defines.
type Numbers = BTreeMap<String, i64>;

/// The request that the service has read, if the product has one, and the parameters that the catalogue prices.
type ReadParameters = (Option<Arc<dyn Provision>>, Numbers);

/// The maximal length of a description in the database.
const MAX_DESCRIPTION: usize = 500;

impl OrderRequest {
    /// Returns a request for a product on the first of its terms.
    pub(super) fn on_first_terms(product: Product, parameters: Parameters) -> Result<Self, Error> {
        let Some((recurring_period, currency)) = product.offers().next() else {
            return Err(Error::Conflict {
                code: Code::NoVpnProduct,
                detail: format!(
                    "product {} has no price, so networks can't be ordered; staff have to add a price",
                    product.name
                ),
                field: None,
            });
        };
        let upgrade_credit = UpgradeCredit::Prorate;
        Ok(Self { product, parameters, recurring_period, currency, upgrade_credit })
    }

    /// Returns the provisioning of the product's service and the parameters that the catalogue prices, or all errors.
    fn read(&self, services: Services) -> Result<ReadParameters, Vec<FieldError>> {
        let service = services(self.product.delivery);
        let (numbers, mut errors) = self.numbers(service.map_or(&[], Service::parameters));
        match service.map(|service| service.read(&self.parameters)) {
            Some(Ok(provision)) if errors.is_empty() => return Ok((Some(provision), numbers)),
            None if errors.is_empty() => return Ok((None, numbers)),
            Some(Err(more)) => errors.extend(more.into_iter().map(|error| error.inside("parameters"))),
            Some(Ok(_)) | None => {}
        }
        Err(errors)
    }

    /// Returns the parameters that the catalogue prices, without those that a service reads itself, and their errors.
    fn numbers(&self, of_service: &[&str]) -> (Numbers, Vec<FieldError>) {
        let (mut numbers, mut errors) = (BTreeMap::new(), Vec::new());
        let is_priced = |name: &str| self.product.parameters.iter().any(|parameter| parameter.name == name);
        for (name, value) in &self.parameters {
            match value {
                _ if of_service.contains(&name.as_str()) && !is_priced(name) => {}
                Value::Number(number) => drop(numbers.insert(name.clone(), *number)),
                Value::Text(_) => errors.push(FieldError::new(name, "must be a whole number").inside("parameters")),
            }
        }
        (numbers, errors)
    }
}

impl Blocker {
    /// Returns the code for programs.
    pub const fn code(&self) -> Code {
        match self {
            Self::NoBillingAddress => Code::NoBillingAddress,
            Self::Requires(_) => Code::MissingRequirement,
        }
    }

    /// Describes what the customer is missing and how to fix it.
    pub fn detail(&self, product: &str) -> String {
        match self {
            Self::NoBillingAddress => {
                format!("{product} is not free, so set a billing address first: PUT /v1/billing_address")
            }
            Self::Requires(other) => {
                format!("{product} needs a running order that contains {other}; order that first, or both in a bundle")
            }
        }
    }
}

/// Returns the price of a configuration for a customer, whom the caller has locked, or all its errors.
pub(super) async fn quote(
    tx: &mut PgConnection,
    services: Services,
    customer: &db::Customer,
    user_id: i64,
    request: OrderRequest,
) -> Result<Quote, Error> {
    let (provision, numbers) = request.read(services).map_err(Error::Invalid)?;
    quote_read(tx, customer, user_id, request, (provision, numbers)).await
}

/// Works like [`quote`] for a product whose service has read the parameters already and provisions it itself.
pub(super) async fn quote_of_service(
    tx: &mut PgConnection,
    customer: &db::Customer,
    user_id: i64,
    request: OrderRequest,
    of_service: &[&str],
) -> Result<Quote, Error> {
    let (numbers, errors) = request.numbers(of_service);
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    quote_read(tx, customer, user_id, request, (None, numbers)).await
}

async fn quote_read(
    tx: &mut PgConnection,
    customer: &db::Customer,
    user_id: i64,
    request: OrderRequest,
    (provision, parameters): ReadParameters,
) -> Result<Quote, Error> {
    let choice = Choice { recurring_period: request.recurring_period, currency: request.currency, parameters };
    let priced = catalog::price(&request.product, &choice, customer.instant).map_err(Error::Invalid)?;
    let mut blockers = Vec::new();
    if !priced.is_free() && !customer.has_billing_address {
        blockers.push(Blocker::NoBillingAddress);
    }
    blockers.extend(missing(tx, user_id, &request.product).await?);
    Ok(Quote { request, priced, provision, blockers })
}

/// Returns the requirements of the product that the customer does not meet.
pub(super) async fn missing(tx: &mut PgConnection, user_id: i64, product: &Product) -> Result<Vec<Blocker>, Error> {
    let required: Vec<_> = product.requirements().collect();
    if required.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = required.iter().map(|required| required.product_id).collect();
    let missing = db::not_had(tx, user_id, &ids).await?;
    let missing = required.into_iter().filter(|required| missing.contains(&required.product_id));
    Ok(missing.map(|required| Blocker::Requires(required.name.clone())).collect())
}

impl Quote {
    /// Refuses an order that has blockers, with the code of the first and the descriptions of all.
    pub(super) fn refuse_blockers(&self) -> Result<(), Error> {
        let Some(first) = self.blockers.first() else { return Ok(()) };
        let product = &self.request.product.name;
        let details: Vec<String> = self.blockers.iter().map(|blocker| blocker.detail(product)).collect();
        Err(Error::Conflict { code: first.code(), detail: details.join("; "), field: None })
    }

    /// Returns the order with its terms copied from the catalogue.
    pub(super) fn new_order(&self, customer: &db::Customer, user_id: i64, ordered_by: i64) -> Result<NewOrder, Error> {
        let Self { request, priced, .. } = self;
        let part = |part: &catalog::PriceComponent| PriceComponent {
            product_id: part.product.product_id,
            parameter: part.parameter.clone(),
            quantity: part.quantity,
            new_quantity: part.quantity,
            one_time: part.one_time,
            recurring: part.recurring,
        };
        Ok(NewOrder {
            user_id,
            ordered_by: Some(ordered_by),
            product_id: Some(request.product.product_id),
            description: request.description(Language::En),
            descriptions: request.descriptions(),
            parameters: request.parameters.iter().map(|(name, value)| (name.clone(), value.to_json())).collect(),
            currency: request.currency,
            one_time: priced.one_time,
            recurring: priced.recurring,
            period: request.recurring_period,
            billing_mode: request.product.billing_mode,
            commitment_periods: priced.commitment_periods,
            upgrade_credit: request.upgrade_credit,
            zone: customer.zone()?,
            parts: priced.parts.iter().map(part).collect(),
        })
    }
}

impl OrderRequest {
    /// Returns the descriptions in the other languages that the product has names or words in.
    fn descriptions(&self) -> BTreeMap<Language, String> {
        let english = self.description(Language::En);
        let others = Language::ALL.into_iter().map(|language| (language, self.description(language)));
        others.filter(|(_, text)| *text != english).collect()
    }

    /// Returns the description that bills show, such as `Dual-stack VM (2 cores, 4 GB memory)`.
    fn description(&self, language: Language) -> String {
        let components = self.product.components.iter().flat_map(|component| &component.parameters);
        let chosen = self.product.parameters.iter().chain(components).filter_map(|parameter| {
            match self.parameters.get(&parameter.name)? {
                Value::Number(number) => Some(parameter.quantity_in(language, *number)),
                Value::Text(_) => None,
            }
        });
        let chosen: Vec<String> = chosen.collect();
        let title = self.product.title_in(language);
        let text = if chosen.is_empty() { title.to_owned() } else { format!("{title} ({})", chosen.join(", ")) };
        text.chars().take(MAX_DESCRIPTION).collect()
    }
}
