//! Middleware that every request passes through before and after its operation.

pub(super) mod auth;
pub(super) mod browser;
pub(super) mod call;
pub(super) mod idempotency;
pub(super) mod origin;
pub(super) mod rates;
pub(super) mod request;

pub(super) mod parameters;
pub(super) mod precondition;

pub use origin::Origin;
pub use rates::RateLimits;
