//! The handler that brings a VPN pool's interface on this host to the desired state.

use serde_json::Value;
use uncloud_wire::JobError;

use super::payload;
use crate::host::Host;

pub(super) async fn handle(host: &Host, payload: &[u8]) -> Result<Value, JobError> {
    let desired = payload::parse(payload).map_err(JobError::Fail)?;
    let report = host.apply(desired).await.map_err(|error| {
        if error.is_final() { JobError::Fail(error.to_string()) } else { JobError::Retry(error.to_string()) }
    })?;
    serde_json::to_value(report).map_err(|error| JobError::Fail(error.to_string()))
}
