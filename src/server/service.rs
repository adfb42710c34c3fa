//! The whole service: its routes, and the pipeline that every request passes through.

use std::{sync::Arc, time::Instant};

use poem::{
    Endpoint, EndpointExt as _, IntoEndpoint, Request, Response, Route,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::{CatchPanic, NormalizePath, TrailingSlash},
};
use tracing::Instrument as _;

use super::{
    apis::apis,
    app::App,
    asset::asset,
    middleware::{
        browser::{self, SecurityHeaders},
        call::OperationMiddleware,
        idempotency::IdempotencyStore,
        origin::{Origin, refuse_foreign},
        rates::Rates,
        request,
    },
    openapi::operation::{self, Operation},
    specification::Specification,
};
use crate::{
    http::{TrustedProxies, problem},
    metrics::Metrics,
    request_context,
};

/// Returns the endpoint that handles all requests.
pub fn service(app: &App) -> anyhow::Result<impl Endpoint<Output = Response> + use<>> {
    let Specification { document, docs, operations } = Specification::get()?;
    let guard = SecurityHeaders { origins: app.origins.clone(), docs_policy: browser::policy_of(docs) };

    let calls = Arc::new(OperationMiddleware {
        authenticator: Arc::clone(&app.authenticator),
        proxies: Arc::clone(&app.proxies),
        operations: Arc::clone(operations),
        idempotency: IdempotencyStore { pool: app.pool.clone(), sealer: Arc::clone(&app.sealer) },
        rates: Rates::new(app.rates),
    });
    let routes = Route::new()
        .at("/openapi.json", calls.around(asset("application/json", document.to_string())))
        .at("/docs", calls.around(asset("text/html; charset=utf-8", docs.clone())))
        .nest_no_strip("/", calls.around(apis(app, Arc::clone(operations)).into_endpoint()));
    let pipeline = RequestPipeline {
        origins: app.origins.clone(),
        operations: Arc::clone(operations),
        metrics: Arc::clone(&app.metrics),
        proxies: Arc::clone(&app.proxies),
    };
    Ok(guard.around(pipeline.around(routes)))
}

/// Paths that monitoring requests every few seconds; successful requests to them are left out of the log.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The pipeline that every request passes through.
struct RequestPipeline {
    origins: Vec<Origin>,
    operations: Arc<[Operation]>,
    metrics: Arc<Metrics>,
    proxies: Arc<TrustedProxies>,
}

impl RequestPipeline {
    fn around<E>(self, routes: E) -> impl Endpoint<Output = Response> + use<E>
    where
        E: IntoEndpoint,
        E::Endpoint: 'static,
    {
        let pipeline = Arc::new(self);
        let routes = routes.with(CatchPanic::new()).with(NormalizePath::new(TrailingSlash::Trim));
        routes.map_to_response().around(move |next, request| {
            let pipeline = Arc::clone(&pipeline);
            async move { pipeline.respond(&*next, request).await }
        })
    }

    /// Handles a request: adds its id, resolves the alias, writes problems and the log line.
    async fn respond<E>(&self, next: &E, mut request: Request) -> poem::Result<Response>
    where
        E: Endpoint<Output = Response>,
    {
        let request_id = request::id(&request, &self.proxies);
        resolve_alias(&mut request);
        let span = tracing::info_span!("request", id = request_id);
        async {
            let mut record = RequestRecord::new(self, &request);
            if record.method == Method::HEAD {
                // The same headers as of GET, whose body the connection leaves out.
                request.set_method(Method::GET);
            }
            let response = request_context::of_request(request_id.clone(), async {
                let response = match self.admit(&request) {
                    Ok(()) => next.call(request).await,
                    Err(refused) => Err(refused),
                };
                problem::write(response.unwrap_or_else(poem::Error::into_response)).await
            });
            let mut response = response.await;
            if response.status() == StatusCode::METHOD_NOT_ALLOWED
                && !response.headers().contains_key(header::ALLOW)
                && let Ok(allow) = HeaderValue::from_str(&operation::allowed_methods(&self.operations, &record.path))
            {
                response.headers_mut().insert(header::ALLOW, allow);
            }
            if let Ok(id) = HeaderValue::from_str(&request_id) {
                response.headers_mut().insert(request::ID, id);
            }
            record.status = response.status().as_u16();
            Ok(response)
        }
        .instrument(span)
        .await
    }

    /// Refuses what no operation has to see.
    fn admit(&self, request: &Request) -> poem::Result<()> {
        request::too_large(request).map_or(Ok(()), |status| Err(poem::Error::from_status(status)))?;
        Ok(refuse_foreign(request, &self.origins, &self.proxies)?)
    }
}

/// The status that stands for a caller who hung up before the answer; nginx writes the same.
const HUNG_UP: u16 = 499;

/// The line of the log and the count in the metrics of a request, written when it ends: also if its caller hangs up.
struct RequestRecord<'a> {
    pipeline: &'a RequestPipeline,
    method: Method,
    path: String,
    started: Instant,
    status: u16,
}

impl<'a> RequestRecord<'a> {
    fn new(pipeline: &'a RequestPipeline, request: &Request) -> Self {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        Self { pipeline, method, path, started: Instant::now(), status: HUNG_UP }
    }
}

impl Drop for RequestRecord<'_> {
    fn drop(&mut self) {
        let Self { pipeline, method, path, started, status } = self;
        let elapsed = started.elapsed();
        // Everything that is not an operation (the docs, or made-up paths) shares one name.
        let operation =
            operation::find(&pipeline.operations, method, path).map_or("other", |operation| operation.id.as_str());
        pipeline.metrics.note_request(operation, *status, elapsed);
        if PROBES.contains(&path.as_str()) && (200..300).contains(status) {
            tracing::debug!(%method, path, status, ?elapsed, "request finished");
        } else {
            tracing::info!(%method, path, status, ?elapsed, "request finished");
        }
    }
}

/// Adds the missing `/v1`: the handbook also writes `/admin/vpnpool/`.
fn resolve_alias(request: &mut Request) {
    let uri = request.uri();
    if uri.path().starts_with("/admin/") {
        let rest = uri.path_and_query().map_or("", poem::http::uri::PathAndQuery::as_str);
        if let Ok(full) = format!("/v1{rest}").parse::<Uri>() {
            *request.uri_mut() = full;
        }
    }
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make_sync;
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn service_with_panicking_handler_returns_bare_internal_error() {
        let pipeline = RequestPipeline {
            origins: Vec::new(),
            operations: Arc::default(),
            metrics: Arc::default(),
            proxies: Arc::default(),
        };
        let service = pipeline.around(make_sync(|_| -> Response { panic!("a secret") }));
        let response = service.get_response(Request::builder().uri_str("/v1/net/vpn").finish()).await;
        assert_eq!(response.status().as_u16(), 500);
        let id = response.header(request::ID).unwrap_or_default().to_owned();
        let problem: Value = response.into_body().into_json().await.unwrap_or_default();
        assert_eq!((&problem["code"], &problem["status"]), (&"internal".into(), &500.into()));
        assert_eq!(problem["request_id"], id);
        assert!(!id.is_empty() && !problem.to_string().contains("secret"), "{problem}");
    }
}
