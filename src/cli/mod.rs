//! STUB for this branch, the lead's `cli/mod.rs` takes its place; what it must keep is `pub mod up`.

mod lead_stubs;
pub mod up;

pub(crate) use lead_stubs::{accounts, defaults, migrate, serve};
