//! The state that the operations share.

use std::sync::Arc;

use super::middleware::{Origin, RateLimits};
use crate::{
    accounts::Authenticator, database::Database, http::TrustedProxies, metrics::Metrics, queue::Notifier, seal::Sealer,
};

/// The state that the operations share.
#[derive(Clone)]
pub struct App {
    /// The database, which is the source of truth.
    pub pool: Database,
    /// Redis, which delivers the jobs.
    pub redis: redis::Client,
    /// Encryption at rest.
    pub sealer: Arc<Sealer>,
    /// Wakes relay and long polls.
    pub wake: Arc<Notifier>,
    /// Counters of this process.
    pub metrics: Arc<Metrics>,
    /// Authenticates callers.
    pub authenticator: Arc<Authenticator>,
    /// Proxies whose headers about a request's origin are trusted.
    pub proxies: Arc<TrustedProxies>,
    /// Web origins whose pages may call the API from a browser; only the server's own by default.
    pub origins: Vec<Origin>,
    /// Request rate limits.
    pub rates: RateLimits,
}
