//! The server: serves the operations of all modules at one address, with the middleware that every request passes
//! through.

pub mod listen;

mod apis;
mod app;
mod asset;
mod codes;
mod health;
mod housekeeping;
mod index;
mod metrics;
mod middleware;
mod openapi;
mod operations;
mod service;
mod specification;

pub use app::App;
pub use health::HealthApi;
pub use housekeeping::keep_house;
pub use metrics::{MetricsApi, listen as listen_for_metrics};
pub use middleware::{Origin, RateLimits};
pub use service::service;
pub use specification::document;
