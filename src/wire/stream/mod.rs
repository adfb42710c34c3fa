//! An apalis backend on Redis Streams: [`StreamBackend`] is the worker's source of tasks and the relay's sink.
//!
//! One consumer group per queue. A worker holds a *lease* on each entry that it reads and renews it by heartbeat; the
//! next worker claims the entries of a dead one. After a job, one transaction writes the event, acknowledges the entry
//! and deletes it, so Redis only holds unfinished work. No error of Redis ever reaches the worker: an `Err` from
//! `poll_next` would end it, so everything here reconnects forever.

mod ack;
mod backend;
mod command;
mod config;
mod connection;
mod control;
mod envelope;
mod event;
mod heartbeat;
mod lease;
mod reader;
mod report;
mod sink;
mod slots;
mod takeover;

pub use ack::AckLayer;
pub use backend::StreamBackend;
pub use command::Command;
pub use config::{GROUP, StreamConfig};
pub use connection::{BackendError, CONNECT_TIMEOUT, blocking, reconnecting};
pub use control::JobControl;
pub use envelope::Envelope;
pub use event::{Outcome, Progress, clean};
pub use report::{ActiveJob, WorkerReport};
