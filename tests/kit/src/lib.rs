//! Shared parts of the tests, the benches and the soak runs. Nothing of this is in the product.
//!
//! - [`servers`]: PostgreSQL, Redis and OpenLDAP, each started for one test program and removed with it.
//! - [`process`], [`command`], [`programs`]: the programs under test, as processes.
//! - [`in_process`]: `uncloud serve` and a host's worker as tasks of the test itself.
//! - [`provider`]: a provider with its API server as a process, and its customers' requests.
//! - [`instance`]: a running `uncloud up`.
//! - [`world`]: VPN host and clients in network namespaces.
//! - [`runner`]: servers and workers with jobs of the tests' own.
//! - [`billing`]: databases with customers and orders, and whoever bills them.
//! - [`soak`]: random faults in all of that.
//! - [`wait`], [`random`], [`fixtures`]: waiting, random numbers, passwords and keys.
//!
//! Unit tests inside `uncloud` or `uncloud-jobs` cannot use this package together with the types of their own crate: it
//! is linked to the crate as others see it, which is a second copy for the compiler.

pub mod billing;
pub mod command;
pub mod fixtures;
pub mod in_process;
pub mod instance;
pub mod process;
pub mod programs;
pub mod provider;
pub mod random;
pub mod runner;
pub mod servers;
pub mod soak;
pub mod wait;
pub mod world;
