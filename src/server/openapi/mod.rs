//! The OpenAPI document: what the framework generates, corrected and completed.

pub(super) mod operation;
pub(super) mod spec;

mod bodies;
mod conventions;
mod examples;
pub(super) mod members;
