//! The handlers of jobs, one file for each kind. The match is exhaustive: a forgotten kind does not compile.
//!
//! Delivery is at least once, so a handler brings about a state; repeating it has no further effect.

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
        Kind::BillRun | Kind::BillPart | Kind::BillEnd | Kind::OrderService => {
            let done = provider::handle(kind, context.database()?, payload, &control).await;
            done.unwrap_or_else(|| Err(JobError::Fail(format!("no worker runs jobs of kind {}", envelope.kind))))
        }
    }
}

/// The version of a payload, read first, since a newer payload may have another form.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Parses a payload. Serde's messages quote the invalid text, which may be a key; so the error contains only its place.
fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    let place = |error: serde_json::Error| {
        format!(
            "the job's payload is invalid (column {}); check that worker and server have the same version",
            error.column()
        )
    };
    let Version { version } = serde_json::from_slice(payload).map_err(place)?;
    if version > VERSION {
        return Err(format!(
            "the payload has version {version}, but this worker supports up to {VERSION}; update the worker"
        ));
    }
    serde_json::from_slice(payload).map_err(place)
}

#[cfg(test)]
mod tests {
    use uncloud_wire::desired::DesiredInterface;

    use super::parse;

    #[test]
    fn parse_invalid_payload_does_not_quote_it() {
        let error = parse::<DesiredInterface>(br#"{"version": 1, "interface": "wg-1", "generation": "c2VjcmV0"}"#)
            .expect_err("not a number");
        assert!(error.contains("same version") && !error.contains("c2VjcmV0"), "{error}");
        let error = parse::<DesiredInterface>(br#"{"version": 2, "whatever": true}"#).expect_err("newer");
        assert!(error.contains("update the worker"), "{error}");
        assert!(parse::<DesiredInterface>(b"\xff").is_err());
    }
}
