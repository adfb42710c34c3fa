//! The handler that reads the latest handshakes and the traffic of a VPN pool's peers on this host.

use serde_json::Value;
use uncloud_wire::{JobError, desired::StatusRequest};

use super::payload;
use crate::host::Host;

pub(super) async fn handle(host: &Host, payload: &[u8]) -> Result<Value, JobError> {
    let request: StatusRequest = payload::parse(payload).map_err(JobError::Fail)?;
    let report = host.status(&request.interface).await.map_err(|error| JobError::Fail(error.to_string()))?;
    serde_json::to_value(report).map_err(|error| JobError::Fail(error.to_string()))
}
