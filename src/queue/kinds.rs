//! What the runner asks of the nouns: it carries jobs and does not know what they mean.

use futures_util::future::BoxFuture;
use serde_json::Value;
use sqlx::PgConnection;

use super::{Claimed, Succeeded};

/// A job made ready for its worker, or why not.
#[derive(Debug)]
pub enum Prepared {
    /// JSON for the worker.
    Payload(Vec<u8>),
    /// It was all the database's work and has been done in this transaction; no worker needs to know.
    Done {
        /// What became of it.
        result: Value,
        /// What is left, so that no transaction takes long: the payload of a job like this one, which goes on.
        rest: Option<Value>,
    },
    /// There is nothing left to do.
    Cancel(String),
    /// It can't be done like this; staff must look.
    Fail(String),
}

/// What became of a job's result.
#[derive(Debug, PartialEq, Eq)]
pub enum Settled {
    /// The noun knows.
    Done,
    /// The worker reported something else than its kind does.
    Unreadable(String),
}

/// Which noun renders and settles which kind of job; see [`crate::kinds`].
pub trait JobKinds: Send + Sync {
    /// Payloads for jobs, in their order; one pass per kind, so a batch costs as many queries as one job.
    fn render<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        jobs: &'a [Claimed],
    ) -> BoxFuture<'a, anyhow::Result<Vec<Prepared>>>;

    /// Tells the noun what its worker did, in the transaction that makes the job succeeded.
    fn settle<'a>(&'a self, tx: &'a mut PgConnection, job: &'a Succeeded) -> BoxFuture<'a, sqlx::Result<Settled>>;
}
