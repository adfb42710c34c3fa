//! What the operations work with.

use std::sync::Arc;

use sqlx::PgPool;

use super::middleware::{Origin, RateLimits};
use crate::{accounts::Authenticator, http::TrustedProxies, metrics::Metrics, queue::Notifier, seal::Sealer};

/// What the operations work with.
#[derive(Clone)]
pub struct App {
    /// The truth.
    pub pool: PgPool,
    /// The carrier.
    pub redis: redis::Client,
    /// Encryption at rest.
    pub sealer: Arc<Sealer>,
    /// Wakes relay and long polls.
    pub wake: Arc<Notifier>,
    /// What this process counts.
    pub metrics: Arc<Metrics>,
    /// Says who is asking.
    pub authenticator: Arc<Authenticator>,
    /// Whose word counts about where a request comes from.
    pub proxies: Arc<TrustedProxies>,
    /// Whose pages may call the API from a browser; nobody's but ours by default.
    pub origins: Vec<Origin>,
    /// How often anybody may ask.
    pub rates: RateLimits,
}
