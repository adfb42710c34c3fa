//! ETags: answering "nothing new" to a read, and refusing an edit of something that is no longer what its caller has read.
//!
//! An object's ETag is a hash of what people decide about it and, after a dot, one of all that is shown: its job's progress
//! is something new to read, but no reason to refuse an edit. A read's is made of its answer; an edit makes it again under
//! the lock of the object's row ([`unless_changed`]), so that nobody else's edit can come in between.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use poem::{
    Response,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};
use tokio::task_local;

use super::spec::Operation;
use crate::error::{Error, FieldError};

/// Bytes of each hash: enough, since whoever brings two objects to the same one gains nothing.
const HASH_LEN: usize = 12;
/// Members that machines change.
const PROGRESS: [&str; 15] = [
    "applied_generation",
    "billed_through",
    "closed",
    "delivered",
    "free",
    "job",
    "last_due_at",
    "last_job",
    "last_run_at",
    "last_used_at",
    "next_runs",
    "reason",
    "status",
    "trouble",
    "used",
];

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

    /// By what people decide.
    fn has_decided(&self, etag: &str) -> bool {
        let decided = |tag: &str| tag.split_once('.').map(|(decided, _)| decided.to_owned());
        self.0.iter().any(|tag| tag == "*" || decided(tag).is_some_and(|tag| decided(etag) == Some(tag)))
    }

    /// Also by a weak tag, which will do for reads.
    fn has_weakly(&self, etag: &str) -> bool {
        self.0.iter().any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
    }
}

fn etag(shown: &[u8]) -> String {
    let hash =
        |bytes: &[u8]| URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes).as_ref().get(..HASH_LEN).unwrap_or_default());
    let mut decided: Map<String, Value> = serde_json::from_slice(shown).unwrap_or_default();
    decided.retain(|name, _| !PROGRESS.contains(&name.as_str()));
    let decided = serde_json::to_vec(&decided).unwrap_or_default();
    format!("\"{}.{}\"", hash(&decided), hash(shown))
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
    if tags.has_decided(&etag(&shown)) { Ok(()) } else { Err(Error::Changed) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_news_but_no_obstacle() {
        let tag = |port: u16, state: &str| {
            etag(format!("{{\"listen_port\":{port},\"job\":{{\"state\":\"{state}\"}}}}").as_bytes())
        };
        let read = Tags(vec![tag(1, "queued")]);
        assert!(read.has_weakly(&tag(1, "queued")) && read.has_decided(&tag(1, "queued")));
        assert!(!read.has_weakly(&tag(1, "running")) && read.has_decided(&tag(1, "running")));
        assert!(!read.has_weakly(&tag(2, "queued")) && !read.has_decided(&tag(2, "queued")));
        assert!(!Tags(vec!["\"x\"".into(), "x".into(), String::new()]).has_decided(&tag(1, "queued")));
        assert!(Tags(vec!["*".into()]).has_decided(&tag(1, "queued")));
    }
}
