//! ETags: answering "nothing new" to a read, and refusing an edit of something that is no longer what its caller has read.
//!
//! An object's ETag is a hash of how it is shown. A read's is made of its answer; an edit makes it again under the lock of
//! the object's row ([`unless_changed`]), so that nobody else's edit can come in between.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use poem::{
    Response,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
};
use ring::digest::{SHA256, digest};
use serde_json::Value;
use tokio::task_local;

use super::spec::Operation;
use crate::error::{Error, FieldError};

task_local! {
    static IF_MATCH: Tags;
}

/// How an object is shown, as JSON: what its ETag is made of.
pub trait Shown {
    /// The same as a read's answer.
    fn shown(self) -> Option<Value>;
}

/// The tags of a header `If-Match` or `If-None-Match`.
#[derive(Debug, Clone)]
struct Tags(Vec<String>);

impl Tags {
    fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        let tags: Vec<String> = values.flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned()).collect();
        headers.contains_key(name).then_some(Self(tags))
    }

    fn has(&self, etag: &str) -> bool {
        self.0.iter().any(|tag| tag == "*" || tag == etag)
    }

    /// Also by a weak tag, which will do for reads.
    fn has_weakly(&self, etag: &str) -> bool {
        self.0.iter().any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
    }
}

fn etag(shown: &[u8]) -> String {
    let hash = digest(&SHA256, shown);
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(hash.as_ref().get(..16).unwrap_or_default()))
}

/// Refuses a precondition that nobody would look at: its caller counts on it.
pub(super) fn refuse_in_vain(operation: &Operation, headers: &HeaderMap) -> Result<(), Error> {
    if operation.takes_if_match || !headers.contains_key(header::IF_MATCH) {
        return Ok(());
    }
    let message = "must be left out: this operation does not look at it";
    Err(Error::Parameters(vec![FieldError::of("header", "If-Match", message)]))
}

/// Runs an edit under its caller's precondition, if there is one.
pub(super) async fn of_headers<F: Future>(headers: &HeaderMap, edit: F) -> F::Output {
    match Tags::of(headers, &header::IF_MATCH) {
        Some(tags) => IF_MATCH.scope(tags, edit).await,
        None => edit.await,
    }
}

/// Refuses an edit (412) when its caller has read another state. To be called with the object's row locked; `current` is
/// only asked for when the caller cares.
pub async fn unless_changed<T: Shown>(current: impl Future<Output = Result<T, Error>>) -> Result<(), Error> {
    let Ok(tags) = IF_MATCH.try_with(Clone::clone) else { return Ok(()) };
    let shown = serde_json::to_vec(&current.await?.shown()).map_err(anyhow::Error::new)?;
    if tags.has(&etag(&shown)) { Ok(()) } else { Err(Error::Changed) }
}

/// Gives the answer about one object its tag; the answer to a read says 304 when its caller has that already.
pub(super) async fn tagged(is_read: bool, asked: &HeaderMap, mut response: Response) -> Response {
    let Ok(body) = response.take_body().into_bytes().await else { return response };
    let etag = etag(&body);
    if is_read && Tags::of(asked, &header::IF_NONE_MATCH).is_some_and(|tags| tags.has_weakly(&etag)) {
        response.set_status(StatusCode::NOT_MODIFIED);
        response.headers_mut().remove(header::CONTENT_TYPE);
    } else {
        response.set_body(body);
    }
    if let Ok(value) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}
