//! The catalogue in Postgres.

mod read;
mod write;

pub(super) use read::{entries, periods, products};
pub use read::{load, load_delivering, load_named};
pub(super) use write::*;
