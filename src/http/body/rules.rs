//! The form, size and time of arrival of bodies: refused by their headers where those tell, and while they are read.

use std::{io, time::Duration};

use futures_util::{StreamExt as _, stream};
use hyper::body::Bytes;
use poem::{
    Body, IntoResponse as _, Request,
    error::ReadBodyError,
    http::{HeaderMap, StatusCode, header},
};
use tokio::time::{Instant, timeout_at};

use super::safe_name;
use crate::error::Error;

/// Maximum size in bytes of a body that carries no data.
const MAX_EMPTY: usize = 16;
/// Time limit for a body to arrive, if the listener has not set one.
const DEADLINE: Duration = Duration::from_secs(30);

/// The form, size and time of arrival that an operation demands of its body.
#[derive(Debug)]
pub(crate) struct BodyRules {
    /// The media type that the operation takes.
    pub media_type: &'static str,
    /// Maximum size in bytes.
    pub max_bytes: usize,
    /// Time limit for it to arrive; `None` for the listener's.
    pub deadline: Option<Duration>,
}

/// The listener's time limit for a body to arrive, attached to the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyDeadline(pub Duration);

impl BodyRules {
    /// JSON. The largest valid request of most operations has a few hundred bytes.
    pub(crate) const JSON: Self = Self { media_type: "application/json", max_bytes: 64 * 1024, deadline: None };

    /// Refuses a body by its headers, so that a client that asks first (`Expect: 100-continue`) need not send it, and
    /// limits the rest while it is read: it need not declare its length.
    pub(crate) fn apply(&self, request: &mut Request) -> poem::Result<()> {
        let headers = request.headers();
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.max_bytes as u64) {
            return Err(unread(ReadBodyError::Io(too_large(self.max_bytes))));
        }
        if let Some(name) = encoding(headers) {
            return Err(Error::ContentEncoding(name).into());
        }
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case(self.media_type) {
            return Err(Error::MediaType(self.media_type).into());
        }
        limit(request, self.max_bytes, self.deadline);
        Ok(())
    }

    /// Refuses a body where the operation takes none, because the sender expects it to be read. An object without
    /// members and `null` are accepted, which generated clients send.
    pub(crate) async fn refuse(request: &mut Request) -> Result<(), Error> {
        let sent =
            [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].iter().any(|name| request.headers().contains_key(name));
        if sent {
            limit(request, MAX_EMPTY, None);
            let body = request.take_body().into_bytes().await;
            if !body.is_ok_and(|body| [&b""[..], b"{}", b"null"].contains(&body.trim_ascii())) {
                return Err(Error::Malformed("this operation does not take a body; omit it".into()));
            }
        }
        Ok(())
    }
}

/// Returns the name of a body's encoding, in which it would be taken for invalid.
fn encoding(headers: &HeaderMap) -> Option<String> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).into_iter();
    let mut names = encodings.flat_map(|value| value.to_str().unwrap_or("unknown").split(',')).map(str::trim);
    let other = names.find(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
    other.map(|name| safe_name(name).to_owned())
}

fn limit(request: &mut Request, max_bytes: usize, deadline: Option<Duration>) {
    let usual = || request.data::<BodyDeadline>().map_or(DEADLINE, |deadline| deadline.0);
    let deadline = Instant::now() + deadline.unwrap_or_else(usual);
    let body = request.take_body();
    request.set_body(limited(body, max_bytes, deadline));
}

/// Wraps a body so that it fails when it is too large, or has not ended in time.
fn limited(body: Body, max_bytes: usize, deadline: Instant) -> Body {
    let parts = Box::pin(body.into_bytes_stream());
    Body::from_bytes_stream(stream::unfold((parts, 0), move |(mut parts, read)| async move {
        let part: io::Result<Bytes> = match timeout_at(deadline, parts.next()).await {
            Ok(part) => part?,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let read = read + part.as_ref().map_or(0, Bytes::len);
        let part = if read > max_bytes { Err(too_large(max_bytes)) } else { part };
        Some((part, (parts, read)))
    }))
}

fn too_large(max_bytes: usize) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("the body is larger than {max_bytes} bytes"))
}

/// Converts the error of a body that could not be read.
pub(crate) fn unread(error: ReadBodyError) -> poem::Error {
    let ReadBodyError::Io(error) = error else { return error.into() };
    // The framework puts the error of the body into one of its own.
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref()).unwrap_or(&error);
    let (status, text) = match cause.kind() {
        io::ErrorKind::FileTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, cause.to_string()),
        io::ErrorKind::TimedOut => (StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive".to_owned()),
        _ => return ReadBodyError::Io(error).into(),
    };
    poem::Error::from_response(text.with_status(status).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bank's file, say, needs a type, a size and a time of its own.
    const FILE: BodyRules =
        BodyRules { media_type: "application/xml", max_bytes: 1_000_000, deadline: Some(Duration::from_mins(5)) };
    const SHORT: Duration = Duration::from_millis(20);

    /// Reads a body of so many parts of 100 kB, each of which takes this long; returns the status.
    async fn read(rules: &BodyRules, media_type: &str, parts: usize, wait: Duration) -> u16 {
        let part = move |left: usize| async move {
            tokio::time::sleep(wait).await;
            (left > 0).then(|| (io::Result::Ok(Bytes::from(vec![b'x'; 100_000])), left - 1))
        };
        let body = Body::from_bytes_stream(stream::unfold(parts, part));
        let mut request = Request::builder().header(header::CONTENT_TYPE, media_type).body(body);
        request.set_data(BodyDeadline(SHORT));
        let read = match rules.apply(&mut request) {
            Ok(()) => request.take_body().into_bytes().await.map_err(unread),
            Err(refused) => Err(refused),
        };
        read.map_or_else(|error| error.status().as_u16(), |_| 200)
    }

    #[tokio::test]
    async fn body_is_held_to_the_rules_of_its_own_operation() {
        let (at_once, never) = (Duration::ZERO, Duration::from_hours(1));
        assert_eq!(read(&FILE, "application/xml; charset=utf-8", 10, SHORT).await, 200, "longer than the usual time");
        assert_eq!(read(&FILE, "application/xml", 11, at_once).await, 413, "without a declared length");
        assert_eq!(read(&FILE, "application/json", 1, at_once).await, 415);
        let urgent = BodyRules { deadline: Some(SHORT), ..FILE };
        assert_eq!(read(&urgent, "application/xml", 1, never).await, 408);
        assert_eq!(read(&BodyRules::JSON, "application/xml", 0, at_once).await, 415);
        assert_eq!(read(&BodyRules::JSON, "application/json", 1, at_once).await, 413);
        assert_eq!(read(&BodyRules::JSON, "application/json", 0, never).await, 408);
    }
}
