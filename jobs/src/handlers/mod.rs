//! What is done for each kind of job: one file per kind. The match is exhaustive: a forgotten kind does not compile.
//!
//! Delivery is at least once, so a handler brings about a state; doing it twice is doing it once.

mod vpn_apply;
mod vpn_status;

use std::sync::Arc;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use uncloud_wire::{
    JobError, Kind,
    desired::VERSION,
    stream::{Envelope, JobControl},
};

use crate::{
    host::Host,
    provider::{self, Database},
};

/// What handlers work with.
#[derive(Clone)]
pub struct Context {
    /// This machine, or what it lacks for VPN networks; a worker for `billing` needs nothing of it.
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

/// Runs one job; what it returns becomes the job's result.
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
            Err(JobError::Fail(format!("jobs of kind {} are done by servers, in the database alone", envelope.kind)))
        }
        Kind::BillRun | Kind::BillPart | Kind::BillEnd | Kind::OrderService => {
            let done = provider::handle(kind, context.database()?, payload, &control).await;
            done.unwrap_or_else(|| Err(JobError::Fail(format!("nobody does jobs of kind {}", envelope.kind))))
        }
    }
}

/// Read before the rest, whose form may have changed.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Serde's messages quote what they could not read, which may be a key; so only their place is passed on.
fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    let place = |error: serde_json::Error| {
        format!("the job's payload can't be read (column {}); do worker and server have one version?", error.column())
    };
    let Version { version } = serde_json::from_slice(payload).map_err(place)?;
    if version > VERSION {
        return Err(format!("the payload has version {version}, this worker knows up to {VERSION}; update the worker"));
    }
    serde_json::from_slice(payload).map_err(place)
}

#[cfg(test)]
mod tests {
    use uncloud_wire::desired::DesiredInterface;

    use super::parse;

    #[test]
    fn what_cannot_be_read_is_refused_without_quoting_it() {
        let error = parse::<DesiredInterface>(br#"{"version": 1, "interface": "wg-1", "generation": "c2VjcmV0"}"#)
            .expect_err("no number");
        assert!(error.contains("one version") && !error.contains("c2VjcmV0"), "{error}");
        let error = parse::<DesiredInterface>(br#"{"version": 2, "whatever": true}"#).expect_err("newer");
        assert!(error.contains("update the worker"), "{error}");
        assert!(parse::<DesiredInterface>(b"\xff").is_err());
    }
}
