//! Request ids and size limits, checked before anything else.

use poem::{Request, http::StatusCode};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::http::TrustedProxies;

/// The header with a request's id.
pub(in crate::server) const ID: &str = "x-request-id";
/// Maximum size of a URI in bytes. The longest valid one, with all filters, has a few hundred.
const MAX_ADDRESS: usize = 8 * 1024;
/// Maximum size of all headers in bytes. Larger ones than [`crate::server::listen::Limits::header_bytes`] never get
/// this far.
const MAX_HEADERS: usize = 32 * 1024;

/// Returns the id of a request in the log, the response and the audit log: the one from a trusted proxy, or a new one.
/// Ids from other callers are ignored, because they could make one request look like a part of another.
pub(in crate::server) fn id(request: &Request, proxies: &TrustedProxies) -> String {
    let named = request.header(ID).filter(|id| is_id(id) && proxies.trusts(TrustedProxies::peer_of(request)));
    named.map_or_else(new_id, str::to_owned)
}

fn is_id(text: &str) -> bool {
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (8..=64).contains(&text.len()) && text.bytes().all(is_ours)
}

/// Returns a random id, which says nothing about the requests of others.
fn new_id() -> String {
    let mut bytes = [0; 8];
    // It only has to distinguish requests; without random numbers all have the same id.
    let _ = SystemRandom::new().fill(&mut bytes);
    format!("{:016x}", u64::from_be_bytes(bytes))
}

/// Returns the status that refuses a request whose URI or headers are too large.
pub(in crate::server) fn too_large(request: &Request) -> Option<StatusCode> {
    let address = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if address > MAX_ADDRESS {
        Some(StatusCode::URI_TOO_LONG)
    } else if headers > MAX_HEADERS {
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_with_special_characters_or_wrong_length_is_replaced() {
        assert!(is_id(&new_id()) && is_id("6c2f3b1e-8f0a-4d7e-9b1c-1f2e3d4c5b6a"));
        for wrong in ["", "short", "with space", "new\nline-here", "quote\"quote", &"x".repeat(65), "größer-als-nichts"]
        {
            assert!(!is_id(wrong), "{wrong:?}");
        }
    }
}
