//! The catalogue: products with their parameters, prices, requirements and components.
//!
//! Orders copy their terms, so staff may change a product at any time. Products are never deleted, only taken off sale.

mod api;
mod db;
mod defaults;
mod draft;
mod period;
mod price;
mod product;
mod write;

pub use api::{AdminProductApi, PeriodApi, ProductApi};
pub use db::{load, load_delivering, load_named};
pub use defaults::add_defaults;
pub use draft::ProductDraft;
pub use price::{Choice, PriceComponent, Priced, price};
pub use product::{Component, Offer, Parameter, ParameterPrice, Price, Product, ProductRef};
pub use write::{create, update};
