//! The queries on the catalogue.

mod read;
mod write;

pub(super) use read::{ids, periods, products};
pub use read::{load, load_delivering, load_named};
pub(super) use write::*;
