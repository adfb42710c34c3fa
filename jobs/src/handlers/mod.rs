//! What is done for each kind of job: one file per kind. The match is exhaustive: a forgotten kind does not compile.
//!
//! Delivery is at least once, so a handler brings about a state; doing it twice is doing it once.

mod vpn_apply;

use std::sync::Arc;

use apalis::prelude::Data;
use serde_json::Value;
use uncloud::{
    kinds::Kind,
    queue::{JobError, backend::Envelope},
};

use crate::host::Host;

/// What handlers work with.
#[derive(Clone)]
pub struct Context {
    /// This machine, or what it lacks for VPN networks; a worker for `billing` needs nothing of it.
    pub host: Result<Arc<Host>, String>,
}

/// Runs one job; what it returns becomes the job's result.
pub async fn handle(envelope: Envelope, context: Data<Context>) -> Result<Value, JobError> {
    let Some(kind) = Kind::parse(&envelope.kind) else {
        return Err(JobError::Fail(format!(
            "this worker (version {}) does not know jobs of kind {}; update it, then run the job again",
            env!("CARGO_PKG_VERSION"),
            envelope.kind
        )));
    };
    match kind {
        Kind::VpnApply => match &context.host {
            Ok(host) => vpn_apply::handle(host, &envelope.payload).await,
            Err(missing) => Err(JobError::Retry(missing.clone())),
        },
    }
}
