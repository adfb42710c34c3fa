//! The handlers of jobs, one file for each kind. The match is exhaustive: a forgotten kind does not compile.
//!
//! Delivery is at least once, so a handler brings about a state; repeating it has no further effect.

mod payload;
mod vpn_apply;
mod vpn_status;

use std::sync::Arc;

use serde_json::Value;
use uncloud_wire::{
    JobError, Kind,
    stream::{Envelope, JobControl},
};

use crate::{
    host::Host,
    provider::{self, Database, Work},
};

/// The resources of handlers.
#[derive(Clone)]
pub struct Context {
    /// This machine, or the capability that it lacks for VPN networks; a worker for `billing` does not need it.
    pub host: Result<Arc<Host>, String>,
    /// The database, for the queue `billing` only: hosts have no credentials for it.
    pub database: Option<Database>,
}

impl Context {
    fn host(&self) -> Result<&Host, JobError> {
        self.host.as_deref().map_err(|missing| JobError::Retry(missing.clone()))
    }

    fn database(&self) -> Result<&Database, JobError> {
        let missing = "this worker has no database; jobs of this kind belong to the queue billing";
        self.database.as_ref().ok_or_else(|| JobError::Fail(missing.to_owned()))
    }
}

/// Runs one job; the returned value becomes the job's result.
pub async fn handle(envelope: Envelope, context: Context, control: JobControl) -> Result<Value, JobError> {
    let Some(kind) = Kind::parse(&envelope.kind) else {
        return Err(JobError::Fail(format!(
            "this worker (version {}) does not know jobs of kind {}; update it, then run the job again",
            env!("CARGO_PKG_VERSION"),
            envelope.kind
        )));
    };
    let payload = &envelope.payload;
    match kind {
        Kind::VpnApply => vpn_apply::handle(context.host()?, payload).await,
        Kind::VpnStatus => vpn_status::handle(context.host()?, payload).await,
        Kind::VpnReconcile | Kind::JobCleanup => {
            Err(JobError::Fail(format!("jobs of kind {} are run by servers, in the database alone", envelope.kind)))
        }
        Kind::BillRun => provider::handle(Work::BillRun, context.database()?, payload, &control).await,
        Kind::BillPart => provider::handle(Work::BillPart, context.database()?, payload, &control).await,
        Kind::BillEnd => provider::handle(Work::BillEnd, context.database()?, payload, &control).await,
        Kind::OrderService => provider::handle(Work::OrderService, context.database()?, payload, &control).await,
    }
}
