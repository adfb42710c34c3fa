//! The OpenAPI document and the docs page as static responses.

use hyper::body::Bytes;
use poem::{
    Endpoint, Response,
    endpoint::make_sync,
    http::{Method, StatusCode, header},
};

use crate::http::representation::{Tags, hash};

/// Serves a text that is the same for every caller and never changes while the process runs; it is held in memory once,
/// for all readers.
pub(super) fn asset(content_type: &'static str, text: String) -> impl Endpoint<Output = Response> {
    let etag = format!("\"{}\"", hash(text.as_bytes()));
    let text = Bytes::from(text);
    make_sync(move |request| {
        let response = Response::builder().header(header::ETAG, &etag).header(header::CACHE_CONTROL, "no-cache");
        let known = Tags::of(request.headers(), &header::IF_NONE_MATCH).ok().flatten();
        let knows_it = known.is_some_and(|tags| tags.has_weakly(&etag));
        match *request.method() {
            Method::GET | Method::HEAD if knows_it => response.status(StatusCode::NOT_MODIFIED).finish(),
            Method::GET | Method::HEAD => response.content_type(content_type).body(text.clone()),
            _ => Response::builder().status(StatusCode::METHOD_NOT_ALLOWED).header(header::ALLOW, "GET, HEAD").finish(),
        }
    })
}

#[cfg(test)]
mod tests {
    use poem::Request;

    use super::*;

    #[tokio::test]
    async fn asset_read_again_returns_not_modified_and_rejects_delete() {
        let asset = asset("text/plain", "text".to_owned());
        let send = async |method: Method, known: &str| {
            let request = Request::builder().method(method).header(header::IF_NONE_MATCH, known).finish();
            asset.get_response(request).await
        };
        let first = send(Method::GET, "").await;
        let etag = first.header(header::ETAG).expect("an ETag").to_owned();
        assert_eq!(
            (first.status(), first.into_body().into_string().await.ok()),
            (StatusCode::OK, Some("text".to_owned()))
        );
        assert_eq!(send(Method::GET, &etag).await.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(send(Method::GET, "\"other\"").await.status(), StatusCode::OK);
        let refused = send(Method::DELETE, "").await;
        assert_eq!(
            (refused.status(), refused.header(header::ALLOW)),
            (StatusCode::METHOD_NOT_ALLOWED, Some("GET, HEAD"))
        );
    }
}
