//! What can be bought: products with their parameters, prices, requirements and components.
//!
//! Orders copy what they need, so staff may change a product at any time. Products are never deleted, only taken off sale.

mod db;
mod period;
mod price;
mod product;

pub use db::{load, load_named};
pub use price::{Choice, Part, Priced, price};
pub use product::{Component, Delivery, Offer, Parameter, ParameterPrice, Price, Product, ProductRef};
