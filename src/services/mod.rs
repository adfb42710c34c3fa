//! The services that orders deliver, whichever module provides them.
//!
//! Orders know a service only by the trait [`Service`]; the module that provides it implements the trait, and
//! `dispatch` maps each delivery to its module. So modules that provide services depend on the orders, and never the
//! other way.

mod delivery;
mod service_change;

pub use delivery::Delivery;
pub use service_change::ServiceChange;

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use chrono::{DateTime, Utc};
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
    /// Returns the value as orders store it.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
        }
    }
}

/// An order's parameters by name: those that the catalogue prices, and those that the service itself reads.
pub type Parameters = BTreeMap<String, Value>;

/// A service that provides the orders of one kind of product.
pub trait Service: Sync {
    /// Returns the names of the parameters that the service itself reads.
    fn parameters(&self) -> &'static [&'static str];

    /// Reads the service's own parameters, once; returns what can be provisioned, or all errors in them.
    fn read(&self, parameters: &Parameters) -> Result<Arc<dyn Provision>, Vec<FieldError>>;

    /// Deprovisions a customer's order; idempotent.
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

/// Called in the transaction that has placed orders of a customer, with their ids and its time.
pub type Placed = for<'a> fn(&'a mut PgConnection, i64, &'a [i64], DateTime<Utc>) -> BoxFuture<'a, Result<(), Error>>;

/// Maps a kind of delivery to its service; none if staff deliver.
pub type Services = fn(Delivery) -> Option<&'static dyn Service>;
