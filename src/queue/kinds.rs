//! The interface between the job runner and the domain modules: the runner transports jobs and does not know their
//! meaning.

use futures_util::future::BoxFuture;
use serde_json::Value;
use sqlx::PgConnection;

use super::{Claimed, Succeeded};

/// A job prepared for its worker, or the reason for which it was not dispatched.
#[derive(Debug)]
pub enum Prepared {
    /// The payload for the worker, as JSON.
    Payload(Vec<u8>),
    /// The job needed only the database and was done in this transaction; no worker takes part.
    Done {
        /// The job's result.
        result: Value,
        /// The remaining work, so that no transaction takes long: the payload of a continuation, a job of the same
        /// kind.
        rest: Option<Value>,
    },
    /// Nothing is left to do; the text is the reason.
    Cancel(String),
    /// The job can't be done in this form; staff must look at it.
    Fail(String),
}

/// The outcome of settling a job's result.
#[derive(Debug, PartialEq, Eq)]
pub enum Settled {
    /// The module has applied the result.
    Done,
    /// The worker's report does not match the job's kind.
    Unreadable(String),
}

/// Prepares and settles the jobs of each kind; see [`crate::dispatch`].
pub trait JobKinds: Send + Sync {
    /// Prepares the payloads of jobs, in their order; one pass per kind, so a batch costs as many queries as one job.
    fn prepare<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        jobs: &'a [Claimed],
    ) -> BoxFuture<'a, anyhow::Result<Vec<Prepared>>>;

    /// Applies the worker's result, in the transaction that marks the job as succeeded.
    fn settle<'a>(&'a self, tx: &'a mut PgConnection, job: &'a Succeeded) -> BoxFuture<'a, sqlx::Result<Settled>>;
}
