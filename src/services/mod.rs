//! What orders deliver, whichever noun realises it.
//!
//! Orders know a service only by the trait [`Service`]; the noun that realises it implements the trait, and `dispatch` says
//! which noun that is. So an arrow leads from the nouns to the orders, and none back.

mod delivery;
mod service_change;

pub use delivery::Delivery;
pub use service_change::ServiceChange;

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use futures_util::future::BoxFuture;
use sqlx::PgConnection;

use crate::error::{Error, FieldError};

/// The value of an order's parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A quantity.
    Number(i64),
    /// Text, such as a key.
    Text(String),
}

impl Value {
    /// The value as orders keep it.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
        }
    }
}

/// An order's parameters by name: those that the catalogue prices, and those that the service reads itself.
pub type Parameters = BTreeMap<String, Value>;

/// What realises the orders of one kind of product.
pub trait Service: Sync {
    /// Names of the parameters that the service reads itself.
    fn parameters(&self) -> &'static [&'static str];

    /// Reads the service's own parameters, once; returns what can be provisioned, or all that is wrong with them.
    fn read(&self, parameters: &Parameters) -> Result<Arc<dyn Provision>, Vec<FieldError>>;

    /// Ends what was provisioned for a customer's order; repeated, it changes nothing.
    fn deprovision<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        user_id: i64,
        order_id: i64,
    ) -> BoxFuture<'a, Result<(), Error>>;
}

/// A request that a service has read.
pub trait Provision: Debug + Send + Sync {
    /// Provisions it for a customer's order, which is placed in the same transaction.
    fn provision<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        user_id: i64,
        order_id: i64,
    ) -> BoxFuture<'a, Result<(), Error>>;
}

/// The service behind a kind of delivery; none when staff deliver.
pub type Services = fn(Delivery) -> Option<&'static dyn Service>;
