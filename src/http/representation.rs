//! ETags: let the server return 304 for an unchanged read, and refuse an edit of an object that has changed since the
//! caller read it.
//!
//! An object's ETag is a hash of what people decide about it and, after a dot, a hash of everything that is shown: its
//! job's progress is news for a read, but no reason to refuse an edit. For a read, the ETag is computed from its
//! response; an edit computes it again while it holds the lock of the object's row ([`check_if_match`]), so that no
//! other edit can come in between.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use poem::http::{HeaderMap, HeaderName, header};
use ring::digest::{SHA256, digest};
use serde::Serializer as _;
use serde_json::Value;
use tokio::task_local;

use crate::error::{Error, FieldError};

/// Length of each hash in bytes; this is enough, since a collision of two objects gains nothing.
const HASH_LEN: usize = 12;
/// The beginning of a weak tag.
const WEAK: &str = "W/";
/// Members that machines change.
const PROGRESS: [&str; 15] = [
    "applied_generation",
    "billed_through",
    "closed",
    "delivered",
    "error",
    "free",
    "job",
    "last_due_at",
    "last_job",
    "last_run_at",
    "last_used_at",
    "next_runs",
    "status",
    "status_reason",
    "used",
];

task_local! {
    static IF_MATCH: Tags;
}

/// An object's JSON representation, from which its ETag is computed.
pub trait Representation {
    /// Returns the same JSON as a read's response.
    fn representation(self) -> Option<Value>;
}

/// The tags of an `If-Match` or `If-None-Match` header.
#[derive(Debug, Clone)]
pub(crate) struct Tags(Vec<String>);

impl Tags {
    pub(crate) fn of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, FieldError> {
        let Some(value) = headers.get(name) else { return Ok(None) };
        let tags = value.to_str().unwrap_or_default().split(',').map(|tag| tag.trim_matches(' ').to_owned());
        let tags: Vec<String> = tags.collect();
        let any = tags.as_slice() == ["*"];
        let alone = headers.get_all(name).iter().count() == 1;
        if alone && (any || tags.iter().all(|tag| is_tag(tag))) {
            return Ok(Some(Self(tags)));
        }
        let message = "must be * or ETags of responses, in quotation marks and separated by commas";
        let name = if name == header::IF_MATCH { "If-Match" } else { "If-None-Match" };
        Err(FieldError::of("header", name, message))
    }

    /// Returns whether no tag can match strongly.
    fn are_weak(&self) -> bool {
        self.0.iter().all(|tag| tag.starts_with(WEAK))
    }

    /// Returns whether a tag matches in the part about people's decisions.
    fn has_decided(&self, etag: &str) -> bool {
        let decided = |tag: &str| tag.split_once('.').map(|(decided, _)| decided.to_owned());
        self.0.iter().any(|tag| tag == "*" || decided(tag).is_some_and(|tag| decided(etag) == Some(tag)))
    }

    /// Compares weakly, which is sufficient for reads.
    pub(crate) fn has_weakly(&self, etag: &str) -> bool {
        self.0.iter().any(|tag| tag == "*" || tag.trim_start_matches(WEAK) == etag)
    }
}

fn is_tag(tag: &str) -> bool {
    let tag = tag.strip_prefix(WEAK).unwrap_or(tag);
    let quoted = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).filter(|tag| !tag.is_empty());
    quoted.is_some_and(|tag| tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)))
}

/// Returns the part of an entity tag that names these bytes.
pub(crate) fn hash(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes).as_ref().get(..HASH_LEN).unwrap_or_default())
}

/// Returns the ETag of an object; `text` is the same as bytes.
pub(crate) fn etag(representation: &Value, text: &[u8]) -> String {
    let members = representation.as_object().into_iter().flatten();
    let decided = members.filter(|(name, _)| !PROGRESS.contains(&name.as_str()));
    let mut bytes = Vec::with_capacity(text.len());
    // Into memory, which never fails.
    let _ = serde_json::Serializer::new(&mut bytes).collect_map(decided);
    format!("\"{}.{}\"", hash(&bytes), hash(text))
}

/// Runs an edit under its caller's precondition.
pub(crate) async fn under<F: Future>(if_match: Tags, edit: F) -> F::Output {
    IF_MATCH.scope(if_match, edit).await
}

/// Refuses an edit (412) if the object has changed since its caller read it. Must be called with the object's row
/// locked; `current` is evaluated only if the caller has set a precondition.
pub async fn check_if_match<T: Representation>(current: impl Future<Output = Result<T, Error>>) -> Result<(), Error> {
    let Ok(tags) = IF_MATCH.try_with(Clone::clone) else { return Ok(()) };
    if tags.are_weak() {
        return Err(Error::WeakPrecondition);
    }
    let representation = current.await?.representation().unwrap_or_default();
    let text = serde_json::to_vec(&representation).map_err(anyhow::Error::new)?;
    if tags.has_decided(&etag(&representation, &text)) { Ok(()) } else { Err(Error::PreconditionFailed) }
}

#[cfg(test)]
mod tests {
    use poem::http::{HeaderValue, header};

    use super::*;

    #[test]
    fn progress_change_alters_read_tag_but_allows_edit() {
        let tag = |port: u16, state: &str| {
            let value = serde_json::json!({ "listen_port": port, "job": { "state": state } });
            etag(&value, value.to_string().as_bytes())
        };
        let read = Tags(vec![tag(1, "queued")]);
        assert!(read.has_weakly(&tag(1, "queued")) && read.has_decided(&tag(1, "queued")));
        assert!(!read.has_weakly(&tag(1, "running")) && read.has_decided(&tag(1, "running")));
        assert!(!read.has_weakly(&tag(2, "queued")) && !read.has_decided(&tag(2, "queued")));
        assert!(!Tags(vec!["\"x\"".into(), "x".into(), String::new()]).has_decided(&tag(1, "queued")));
        assert!(Tags(vec!["*".into()]).has_decided(&tag(1, "queued")));
    }

    #[test]
    fn tags_header_with_invalid_form_is_refused() {
        let parse = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, HeaderValue::from_str(text).expect("a header"));
            Tags::of(&headers, &header::IF_MATCH).map(|tags| tags.map(|tags| tags.0.len()))
        };
        assert_eq!(Tags::of(&HeaderMap::new(), &header::IF_MATCH).map(|tags| tags.is_some()), Ok(false));
        for (right, count) in [("*", 1), ("\"a.b\"", 1), ("\"a\", \"b_-\"", 2), ("W/\"a\"", 1)] {
            assert_eq!(parse(right), Ok(Some(count)), "{right}");
        }
        for wrong in ["", "a", "\"\"", "\"a", "w/\"a\"", "\"a\",", "*, \"a\"", "\"a b\""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
