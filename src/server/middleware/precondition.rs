//! Conditional requests: `If-Match` and `If-None-Match`.

use poem::{
    Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

use crate::{
    error::{Error, FieldError},
    http::{
        JsonValue,
        representation::{Tags, etag, under},
    },
    server::operations::{Kind, Operation},
};

/// Preconditions of a request, which name the state that its caller has read.
pub(in crate::server) struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

impl Preconditions {
    /// Refuses invalid headers, and `If-Match` on operations that ignore it, since its caller relies on it.
    pub(in crate::server) fn of(operation: &Operation, headers: &HeaderMap) -> Result<Self, Error> {
        let wrong = |error| Error::Parameters(vec![error]);
        if !operation.takes_if_match() && headers.contains_key(header::IF_MATCH) {
            let message = "must be omitted: this operation does not support it";
            return Err(wrong(FieldError::of("header", "If-Match", message)));
        }
        let reads = operation.rules.kind == Kind::Object && operation.method == Method::GET;
        let if_none_match = if reads { Tags::of(headers, &header::IF_NONE_MATCH).map_err(wrong)? } else { None };
        Ok(Self { if_match: Tags::of(headers, &header::IF_MATCH).map_err(wrong)?, if_none_match })
    }

    /// Runs an edit under its caller's precondition, if there is one.
    pub(in crate::server) fn guard<F: Future>(&self, edit: F) -> impl Future<Output = F::Output> + use<F> {
        let tags = self.if_match.clone();
        async move {
            match tags {
                Some(tags) => under(tags, edit).await,
                None => edit.await,
            }
        }
    }

    /// Adds the ETag to a response about one object; a read returns 304 if its caller already has that state.
    pub(in crate::server) async fn tagged(&self, mut response: Response) -> Response {
        let Some(JsonValue(value)) = response.extensions_mut().remove() else { return response };
        let Ok(body) = response.take_body().into_bytes().await else { return response };
        let etag = etag(&value, &body);
        if self.if_none_match.as_ref().is_some_and(|tags| tags.has_weakly(&etag)) {
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
}
