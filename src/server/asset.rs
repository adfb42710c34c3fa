//! The OpenAPI document and the docs page as static responses, which are compressed when the program is built.

use hyper::body::Bytes;
use poem::{
    Endpoint, Request, Response,
    http::{HeaderMap, Method, StatusCode, header},
};

use crate::http::representation::Tags;

/// A file that is the same for every caller and never changes while the process runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asset {
    pub path: &'static str,
    media_type: &'static str,
    /// Identifies the content.
    tag: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
}

/// All files, from `openapi/build.rs`.
pub(super) static ASSETS: &[Asset] = &include!(concat!(env!("OUT_DIR"), "/assets.rs"));

impl Asset {
    /// Returns the name and the bytes of the smallest encoding that the caller understands.
    fn encoded(&self, headers: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
        let known = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
        let known: Vec<&str> = known.flat_map(|value| value.split(',')).filter_map(wanted).collect();
        let takes = |name: &str| known.iter().any(|known| known.eq_ignore_ascii_case(name));
        if takes("br") {
            (Some("br"), self.brotli)
        } else if takes("gzip") {
            (Some("gzip"), self.gzip)
        } else {
            (None, self.plain)
        }
    }
}

/// Returns the name of an encoding in `Accept-Encoding`, unless its weight is zero (RFC 9110, 12.4.2).
fn wanted(encoding: &str) -> Option<&str> {
    let (name, weight) = encoding.split_once(';').unwrap_or((encoding, ""));
    let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
    Some(name.trim()).filter(|_| weight.is_none_or(|weight| weight > 0.0))
}

impl Endpoint for &'static Asset {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let refused = Response::builder().status(StatusCode::METHOD_NOT_ALLOWED).header(header::ALLOW, "GET, HEAD");
            return Ok(refused.finish());
        }
        let (encoding, bytes) = self.encoded(request.headers());
        let etag = format!("\"{}.{}\"", self.tag, encoding.unwrap_or("plain"));
        let response = Response::builder()
            .header(header::ETAG, &etag)
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::VARY, "Accept-Encoding");
        let known = Tags::of(request.headers(), &header::IF_NONE_MATCH).ok().flatten();
        if known.is_some_and(|tags| tags.has_weakly(&etag)) {
            return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
        }
        let response = match encoding {
            Some(encoding) => response.header(header::CONTENT_ENCODING, encoding),
            None => response,
        };
        Ok(response.content_type(self.media_type).body(Bytes::from_static(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSET: &Asset =
        &Asset { path: "/x", media_type: "text/plain", tag: "1f", plain: b"text", gzip: b"gz", brotli: b"b" };

    async fn send(method: Method, headers: &[(&'static str, &str)]) -> (u16, String, String) {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = ASSET.get_response(request.finish()).await;
        let etag = response.header(header::ETAG).unwrap_or_default().to_owned();
        (response.status().as_u16(), etag, response.into_body().into_string().await.expect("text"))
    }

    #[tokio::test]
    async fn asset_read_again_returns_not_modified_and_rejects_delete() {
        let (status, etag, text) = send(Method::GET, &[]).await;
        assert_eq!((status, text.as_str()), (200, "text"));
        assert_eq!(send(Method::GET, &[("if-none-match", &etag)]).await.0, 304);
        assert_eq!(send(Method::GET, &[("if-none-match", "\"other\"")]).await.0, 200);
        let encoded = [("if-none-match", etag.as_str()), ("accept-encoding", "gzip")];
        assert_eq!(send(Method::GET, &encoded).await.0, 200, "another encoding is another representation");
        assert_eq!(send(Method::DELETE, &[]).await.0, 405);
    }

    #[tokio::test]
    async fn asset_is_sent_in_smallest_encoding_that_caller_understands() {
        for (accepted, expected) in [
            ("", "text"),
            ("identity", "text"),
            ("gzip", "gz"),
            ("GZIP;q=0.5, deflate", "gz"),
            ("gzip, deflate, br, zstd", "b"),
            ("br;q=0, gzip;q=0.0", "text"),
        ] {
            assert_eq!(send(Method::GET, &[("accept-encoding", accepted)]).await.2, expected, "{accepted}");
        }
    }
}
