//! Response headers for browsers: what the server's pages may load, which pages may embed them, and which origins may
//! call the API.

use std::sync::Arc;

use poem::{
    Endpoint, EndpointExt as _, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Scheme},
};

use super::origin::Origin;

/// Policy of responses that are not pages: they may load nothing, and no page may show them in a frame.
const NO_PAGE: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
/// Policy of the docs page: it may load the server's own files and call the API. No script in the page itself runs, so
/// none that is injected does.
const DOCS_PAGE: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// One year; [`SecurityHeaders::tell`] decides which responses have it.
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match");
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static(
    "Allow, ETag, Idempotency-Replayed, Link, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id",
);
/// Seconds for which a browser may cache a preflight response.
const PREFLIGHT_KEPT: HeaderValue = HeaderValue::from_static("600");

/// Headers that are added to every response.
#[derive(Debug)]
pub(in crate::server) struct SecurityHeaders {
    pub origins: Vec<Origin>,
}

/// The parts of a request that determine the response's headers.
struct HeaderContext {
    docs: bool,
    only_tls: bool,
    origin: Option<HeaderValue>,
}

impl SecurityHeaders {
    pub(in crate::server) fn around<E>(self, endpoint: E) -> impl Endpoint<Output = Response> + use<E>
    where
        E: Endpoint<Output = Response> + 'static,
    {
        let guard = Arc::new(self);
        endpoint.around(move |next, request| {
            let guard = Arc::clone(&guard);
            async move {
                let context = guard.context(&request);
                let mut response = match preflight(&request, &context) {
                    Some(response) => response,
                    None => next.call(request).await?,
                };
                guard.add_headers(&context, response.headers_mut());
                Ok(response)
            }
        })
    }

    fn context(&self, request: &Request) -> HeaderContext {
        let host = request.header(header::HOST).unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let origin = request.headers().get(header::ORIGIN);
        HeaderContext {
            docs: request.uri().path().trim_end_matches('/') == "/docs",
            // Every service on a developer's machine is called localhost, and most have no TLS.
            only_tls: *request.scheme() == Scheme::HTTPS && name != "localhost",
            origin: origin.filter(|origin| self.origins.iter().any(|known| known.is(origin))).cloned(),
        }
    }

    fn add_headers(&self, context: &HeaderContext, headers: &mut HeaderMap) {
        let policy = if context.docs { DOCS_PAGE } else { NO_PAGE };
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
        if !headers.contains_key(header::CACHE_CONTROL) {
            // Bills and secrets must not be on a browser's disk; a response with an ETag may stay in its memory.
            let kept = if headers.contains_key(header::ETAG) { "private, no-cache" } else { "no-store" };
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
        }
        if context.only_tls {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, ONLY_TLS);
        }
        if !self.origins.is_empty() {
            // Caches must not return one origin's response to another.
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = &context.origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
        }
    }
}

/// Returns the response to a preflight request, with which a browser checks whether a page may send its request. Pages
/// of other origins get the same response as any request with this method, which does not allow them anything.
fn preflight(request: &Request, context: &HeaderContext) -> Option<Response> {
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && context.origin.is_some();
    is_preflight.then(|| {
        Response::builder()
            .status(StatusCode::NO_CONTENT)
            .header(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
            .header(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS)
            .header(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_KEPT)
            .finish()
    })
}
