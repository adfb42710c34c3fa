//! The HTTP operations on the catalogue.

mod admin;
mod period;
mod product;
mod write;

pub use admin::AdminProductApi;
pub use period::PeriodApi;
pub use product::ProductApi;
