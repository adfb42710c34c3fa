//! Brings a VPN pool's interface on this host to the desired state.

use serde::Deserialize;
use serde_json::Value;
use uncloud::{
    queue::JobError,
    vpn::desired::{DesiredInterface, VERSION},
};

use crate::host::Host;

/// Read before the rest, whose form may have changed.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

pub(super) async fn handle(host: &Host, payload: &[u8]) -> Result<Value, JobError> {
    let desired = parse(payload).map_err(JobError::Fail)?;
    let report = host.apply(desired).await.map_err(|error| {
        if error.is_final() { JobError::Fail(error.to_string()) } else { JobError::Retry(error.to_string()) }
    })?;
    serde_json::to_value(report).map_err(|error| JobError::Fail(error.to_string()))
}

/// Serde's messages quote what they could not read, which may be a key; so only their place is passed on.
fn parse(payload: &[u8]) -> Result<DesiredInterface, String> {
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
    use super::*;

    #[test]
    fn what_cannot_be_read_is_refused_without_quoting_it() {
        let error = parse(br#"{"version": 1, "interface": "wg-1", "generation": "c2VjcmV0"}"#).expect_err("no number");
        assert!(error.contains("one version") && !error.contains("c2VjcmV0"), "{error}");
        let error = parse(br#"{"version": 2, "whatever": true}"#).expect_err("newer");
        assert!(error.contains("update the worker"), "{error}");
        assert!(parse(b"\xff").is_err());
    }
}
