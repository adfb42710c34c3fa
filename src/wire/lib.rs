//! The protocol between the provider and its hosts, and its transport: shared by `uncloud` and `uncloud-worker`.

pub mod broker;
pub mod desired;
pub mod job;
pub mod key;
pub mod kind;
pub mod logging;
pub mod program;
pub mod queue_name;
pub mod secret;
pub mod stream;

pub use job::{JobError, JobId};
pub use kind::{KINDS, Kind};
pub use queue_name::{QueueName, QueueNameError};
pub use secret::Secret;
