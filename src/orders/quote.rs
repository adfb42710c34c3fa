//! What an order would cost, and what stands in its way. Quoting and ordering ask the same.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::{NewOrder, Part, db};
use crate::{
    billing::{charge::UpgradeCredit, money::Currency, period::RecurringPeriod},
    catalog::{self, Choice, Delivery, Priced, Product},
    error::{Code, Error, FieldError},
    vpn::{Wish, key::PublicKey},
};

/// A configuration of a product, as it is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The product.
    pub product: Product,
    /// Values of its parameters, and what a VPN network needs besides.
    pub parameters: BTreeMap<String, Value>,
    /// How often to pay; none: once.
    pub recurring_period: Option<RecurringPeriod>,
    /// In which currency.
    pub currency: Currency,
    /// What an upgrade will do with the time already paid.
    pub upgrade_credit: UpgradeCredit,
}

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of what is counted.
    Number(i64),
    /// A key.
    Text(String),
}

/// What a configuration costs, and what keeps the customer from ordering it.
#[derive(Debug, Clone)]
pub struct Quote {
    /// What is asked for.
    pub wanted: Wanted,
    /// What it costs, part by part.
    pub priced: Priced,
    /// The network, where the VPN hosts deliver it.
    pub network: Option<Wish>,
    /// What the customer has to mend first.
    pub obstacles: Vec<Obstacle>,
}

/// What keeps a customer from ordering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// It costs something, and nobody knows where the bill is to go.
    NoBillingAddress,
    /// It is of no use without another product.
    Requires(String),
}

/// Values of parameters that the catalogue knows.
type Numbers = BTreeMap<String, i64>;

/// Names of the parameters that a VPN network has besides those of the catalogue.
const NETWORK_SIZE: &str = "network_size";
const PUBLIC_KEY: &str = "wireguard_public_key";
/// As long as the database lets a description be.
const MAX_DESCRIPTION: usize = 500;

impl Wanted {
    /// A VPN network on the first terms that the product has.
    pub(super) fn network(product: Product, wish: Wish) -> Result<Self, Error> {
        let Some((recurring_period, currency)) = product.offers().next() else {
            return Err(Error::Conflict {
                code: Code::NoVpnProduct,
                detail: format!(
                    "product {} has no price, so no network can be ordered; staff have to give it one",
                    product.name
                ),
                field: None,
            });
        };
        let parameters = [
            (NETWORK_SIZE.to_owned(), Value::Number(wish.size.into())),
            (PUBLIC_KEY.to_owned(), Value::Text(wish.public_key.to_string())),
        ];
        Ok(Self {
            product,
            parameters: parameters.into(),
            recurring_period,
            currency,
            upgrade_credit: UpgradeCredit::Prorate,
        })
    }

    /// The network that is asked for, and the parameters that the catalogue knows; or all that is wrong with them.
    fn split(&self) -> Result<(Option<Wish>, Numbers), Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut wrong = |name: &str, message: String| errors.push(FieldError::new(name, message).inside("parameters"));
        let is_network = self.product.delivery == Delivery::VpnNetwork;
        let mut numbers = BTreeMap::new();
        for (name, value) in &self.parameters {
            let is_ours = is_network && [NETWORK_SIZE, PUBLIC_KEY].contains(&name.as_str());
            match value {
                _ if is_ours && !self.product.parameters.iter().any(|parameter| parameter.name == *name) => {}
                Value::Number(number) => drop(numbers.insert(name.clone(), *number)),
                Value::Text(_) => wrong(name, "must be a whole number".into()),
            }
        }
        let network = if is_network { self.wish(&mut wrong) } else { None };
        if errors.is_empty() { Ok((network, numbers)) } else { Err(errors) }
    }

    fn wish(&self, wrong: &mut impl FnMut(&str, String)) -> Option<Wish> {
        let size = match self.parameters.get(NETWORK_SIZE) {
            Some(Value::Number(size)) => u8::try_from(*size).ok().filter(|size| (1..=128).contains(size)),
            _ => None,
        };
        if size.is_none() {
            wrong(NETWORK_SIZE, "must be the wanted prefix length, a whole number from 1 to 128".into());
        }
        let public_key = match self.parameters.get(PUBLIC_KEY) {
            Some(Value::Text(text)) => text.parse::<PublicKey>().map_err(|error| error.to_string()),
            _ => Err("must be a public key, as `wg pubkey` prints it".into()),
        };
        let public_key = public_key.map_err(|message| wrong(PUBLIC_KEY, message)).ok();
        Some(Wish { size: size?, public_key: public_key? })
    }
}

impl Obstacle {
    /// For programs.
    pub const fn code(&self) -> Code {
        match self {
            Self::NoBillingAddress => Code::NoBillingAddress,
            Self::Requires(_) => Code::MissingRequirement,
        }
    }

    /// What is missing from a product's buyer, and what would help.
    pub fn detail(&self, product: &str) -> String {
        match self {
            Self::NoBillingAddress => {
                format!("{product} is not free, so say first where its bills go: PUT /v1/billingaddress")
            }
            Self::Requires(other) => {
                format!("{product} needs a running order that contains {other}; order that first, or both in a bundle")
            }
        }
    }
}

/// The price of a configuration for a customer, who is locked, or all that is wrong with it.
pub(super) async fn quote(
    tx: &mut PgConnection,
    customer: &db::Customer,
    user_id: i64,
    wanted: Wanted,
) -> Result<Quote, Error> {
    let priced = match wanted.split() {
        Ok((network, parameters)) => {
            let choice = Choice { recurring_period: wanted.recurring_period, currency: wanted.currency, parameters };
            catalog::price(&wanted.product, &choice, customer.instant).map(|priced| (network, priced))
        }
        Err(errors) => Err(errors),
    };
    let (network, priced) = priced.map_err(Error::Invalid)?;
    let mut obstacles = Vec::new();
    if !priced.is_free() && !customer.has_billing_address {
        obstacles.push(Obstacle::NoBillingAddress);
    }
    obstacles.extend(missing(tx, user_id, &wanted.product).await?);
    Ok(Quote { wanted, priced, network, obstacles })
}

/// What the product requires and the customer has not.
pub(super) async fn missing(tx: &mut PgConnection, user_id: i64, product: &Product) -> Result<Vec<Obstacle>, Error> {
    let required: Vec<_> = product.requirements().collect();
    if required.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = required.iter().map(|required| required.product_id).collect();
    let missing = db::not_had(tx, user_id, &ids).await?;
    let missing = required.into_iter().filter(|required| missing.contains(&required.product_id));
    Ok(missing.map(|required| Obstacle::Requires(required.name.clone())).collect())
}

impl Quote {
    /// The first obstacle's code, and what is to be done about all of them.
    pub(super) fn refuse_obstacles(&self) -> Result<(), Error> {
        let Some(first) = self.obstacles.first() else { return Ok(()) };
        let product = &self.wanted.product.name;
        let details: Vec<String> = self.obstacles.iter().map(|obstacle| obstacle.detail(product)).collect();
        Err(Error::Conflict { code: first.code(), detail: details.join("; "), field: None })
    }

    /// The order, with the terms copied.
    pub(super) fn new_order(&self, customer: &db::Customer, user_id: i64, ordered_by: i64) -> Result<NewOrder, Error> {
        let Self { wanted, priced, .. } = self;
        let part = |part: &catalog::Part| Part {
            product_id: part.product.product_id,
            parameter: part.parameter.clone(),
            quantity: part.quantity,
            one_time: part.one_time,
            recurring: part.recurring,
        };
        Ok(NewOrder {
            user_id,
            ordered_by: Some(ordered_by),
            product_id: Some(wanted.product.product_id),
            description: wanted.description(),
            parameters: wanted.parameters.iter().map(|(name, value)| (name.clone(), value.to_json())).collect(),
            currency: wanted.currency,
            one_time: priced.one_time,
            recurring: priced.recurring,
            period: wanted.recurring_period,
            timing: wanted.product.billing,
            commitment_periods: priced.commitment_periods,
            upgrade_credit: wanted.upgrade_credit,
            zone: customer.zone()?,
            parts: priced.parts.iter().map(part).collect(),
        })
    }
}

impl Wanted {
    /// As bills call it: `Dual-stack VM (cores 2, ram 4 GB)`.
    fn description(&self) -> String {
        let components = self.product.components.iter().flat_map(|component| &component.parameters);
        let chosen = self.product.parameters.iter().chain(components).filter_map(|parameter| {
            match self.parameters.get(&parameter.name)? {
                Value::Number(number) => {
                    Some(format!("{} {number} {}", parameter.name, parameter.unit).trim_end().to_owned())
                }
                Value::Text(_) => None,
            }
        });
        let chosen: Vec<String> = chosen.collect();
        let title = &self.product.title;
        let text = if chosen.is_empty() { title.clone() } else { format!("{title} ({})", chosen.join(", ")) };
        text.chars().take(MAX_DESCRIPTION).collect()
    }
}

impl Value {
    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
        }
    }
}
