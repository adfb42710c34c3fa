//! The whole service: its routes, and the pipeline that every request passes through.

use std::{sync::Arc, time::Instant};

use poem::{
    Endpoint, EndpointExt as _, IntoEndpoint, Request, Response, Route,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::CatchPanic,
};
use sqlx::PgPool;
use tracing::Instrument as _;

use super::{
    apis::apis,
    app::App,
    asset::ASSETS,
    middleware::{
        browser::SecurityHeaders,
        call::OperationMiddleware,
        idempotency::IdempotencyStore,
        origin::{Origin, refuse_foreign},
        rates::Rates,
        request,
    },
    operations::{Operation, Operations},
    specification::{framework, operations},
};
use crate::{
    http::{TrustedProxies, problem},
    metrics::Metrics,
    request_context,
};

/// Returns the endpoint that handles all requests.
pub fn service(app: &App) -> anyhow::Result<impl Endpoint<Output = Response> + use<>> {
    let operations = operations()?;
    let guard = SecurityHeaders { origins: app.origins.clone() };
    let calls = Arc::new(OperationMiddleware {
        authenticator: Arc::clone(&app.authenticator),
        proxies: Arc::clone(&app.proxies),
        idempotency: IdempotencyStore { pool: PgPool::clone(&app.pool), sealer: Arc::clone(&app.sealer) },
        rates: Rates::new(app.rates),
    });
    let mut routes = Route::new().nest_no_strip("/", framework(apis(app, operations)));
    for asset in ASSETS {
        routes = routes.at(asset.path, asset);
    }
    let pipeline = RequestPipeline {
        origins: app.origins.clone(),
        operations,
        metrics: Arc::clone(&app.metrics),
        proxies: Arc::clone(&app.proxies),
    };
    // In boxes: what is kept on the way of one request is moved from layer to layer, and would be many kilobytes.
    Ok(guard.around(pipeline.around(calls.around(routes.map_to_response().boxed()).boxed())))
}

/// Paths that monitoring requests every few seconds; successful requests to them are left out of the log.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The pipeline that every request passes through.
struct RequestPipeline {
    origins: Vec<Origin>,
    operations: &'static Operations,
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
        let routes = routes.with(CatchPanic::new());
        routes.map_to_response().around(move |next, request| {
            let pipeline = Arc::clone(&pipeline);
            async move { pipeline.respond(&*next, request).await }
        })
    }

    /// Handles a request: adds its id, looks up its operation, writes problems and the log line.
    async fn respond<E>(&self, next: &E, mut request: Request) -> poem::Result<Response>
    where
        E: Endpoint<Output = Response>,
    {
        let request_id = request::id(&request, &self.proxies);
        normalize_path(&mut request);
        let span = tracing::info_span!("request", id = request_id);
        async {
            let operation = self.operations.find(request.method(), request.uri().path());
            if let Some(operation) = operation {
                request.set_data(operation);
            }
            let mut record = RequestRecord::new(self, &request, operation);
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
                && let Ok(allow) = HeaderValue::from_str(&self.operations.allowed_methods(&record.path))
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
    /// The operation's name in the metrics; everything that is not one (the docs, or made-up paths) shares a name.
    operation: &'static str,
    started: Instant,
    status: u16,
}

impl<'a> RequestRecord<'a> {
    fn new(pipeline: &'a RequestPipeline, request: &Request, operation: Option<&'static Operation>) -> Self {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let operation = operation.map_or("other", |operation| operation.rules.id);
        Self { pipeline, method, path, operation, started: Instant::now(), status: HUNG_UP }
    }
}

impl Drop for RequestRecord<'_> {
    fn drop(&mut self) {
        let Self { pipeline, method, path, operation, started, status } = self;
        let elapsed = started.elapsed();
        pipeline.metrics.note_request(operation, *status, elapsed);
        if PROBES.contains(&path.as_str()) && (200..300).contains(status) {
            tracing::debug!(%method, path, status, ?elapsed, "request finished");
        } else {
            tracing::info!(%method, path, status, ?elapsed, "request finished");
        }
    }
}

/// Removes slashes at the end and repeated ones, and adds the missing `/v1`: the handbook also writes `/admin/vpnpool/`.
fn normalize_path(request: &mut Request) {
    let path = request.uri().path();
    let is_alias = path.starts_with("/admin/");
    if !is_alias && !path.contains("//") && (path == "/" || !path.ends_with('/')) {
        return;
    }
    let mut normal = String::from(if is_alias { "/v1" } else { "" });
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        normal.push('/');
        normal.push_str(segment);
    }
    if normal.is_empty() {
        normal.push('/');
    }
    if let Some(query) = request.uri().query() {
        normal.push('?');
        normal.push_str(query);
    }
    if let Ok(uri) = normal.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make_sync;
    use serde_json::Value;

    use super::*;

    #[test]
    fn path_is_normalized_to_that_of_its_operation() {
        for (path, expected) in [
            ("/v1/net/vpn", "/v1/net/vpn"),
            ("/v1/net/vpn/?limit=1", "/v1/net/vpn?limit=1"),
            ("//v1//net/vpn//", "/v1/net/vpn"),
            ("/admin/vpnpool/", "/v1/admin/vpnpool"),
            ("/", "/"),
            ("//", "/"),
        ] {
            let mut request = Request::builder().uri_str(path).finish();
            normalize_path(&mut request);
            assert_eq!(request.uri().to_string(), expected, "{path}");
        }
    }

    #[tokio::test]
    async fn service_with_panicking_handler_returns_bare_internal_error() {
        let pipeline = RequestPipeline {
            origins: Vec::new(),
            operations: operations().expect("operations"),
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
