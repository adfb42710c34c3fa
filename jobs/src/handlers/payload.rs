//! The payload of a job, as its handler reads it.

use serde::{Deserialize, de::DeserializeOwned};
use uncloud_wire::desired::VERSION;

/// The version of a payload, read first, since a newer payload may have another form.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Parses a payload. Serde's messages quote the invalid text, which may be a key; so the error contains only its place.
pub(super) fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
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
