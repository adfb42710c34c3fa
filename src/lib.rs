//! uncloud: a hosting provider's backend. The library is what the provider knows and promises; the
//! binary `uncloud` serves and administers it, `uncloud-worker` (package `uncloud-jobs`) realises it on hosts.

pub(crate) use cli::accounts; // STUB, see cli/lead_stubs.rs
pub mod cli;
pub mod embedded;
pub mod secret;
pub mod vpn;
