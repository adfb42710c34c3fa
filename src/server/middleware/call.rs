//! The middleware that the call of every operation passes through.

use std::{sync::Arc, time::Instant};

use poem::{
    Endpoint, EndpointExt as _, Request, Response,
    http::{HeaderValue, StatusCode, Uri, header},
};
use url::form_urlencoded;

use super::{
    auth,
    idempotency::IdempotencyStore,
    parameters,
    precondition::Preconditions,
    rates::{HangUp, RateLimitStatus, Rates},
};
use crate::{
    accounts::Authenticator,
    error::Error,
    http::{BodyRules, JsonValue, TrustedProxies, caller::Caller, network_of, problem},
    request_context::{self, Call},
    server::{
        listen::ResponseDeadline,
        operations::{Kind, Operation},
    },
};

/// Checks that every call passes on the way to its operation.
pub(in crate::server) struct OperationMiddleware {
    pub authenticator: Arc<Authenticator>,
    pub proxies: Arc<TrustedProxies>,
    pub idempotency: IdempotencyStore,
    pub rates: Rates,
}

impl OperationMiddleware {
    /// Wraps an endpoint in this middleware.
    pub fn around<E>(self: &Arc<Self>, endpoint: E) -> impl Endpoint<Output = Response> + use<E>
    where
        E: Endpoint<Output = Response> + 'static,
    {
        let calls = Arc::clone(self);
        endpoint.around(move |next, request| {
            let calls = Arc::clone(&calls);
            async move { calls.call(next, request).await }
        })
    }

    /// Authenticates the caller, applies the rate limits, and runs the operation.
    async fn call<E>(self: Arc<Self>, next: Arc<E>, request: Request) -> poem::Result<Response>
    where
        E: Endpoint<Output = Response> + 'static,
    {
        // The pipeline has looked it up; the documentation and made-up paths have none.
        let operation = request.data::<&'static Operation>().copied();
        let (left, response) = match self.counted(&request, operation).await {
            Ok((left, Ok(caller))) => (left, self.admitted(next, request, caller, operation).await),
            Ok((left, Err(error))) => (left, Err(error.into())),
            Err(left) => (Some(left), Err(left.refusal().into())),
        };
        let mut response = problem::write(response.unwrap_or_else(parameters::named)).await;
        if let Some(left) = left {
            left.add_headers(&mut response);
        }
        Ok(response)
    }

    /// Authenticates the caller and counts the request.
    async fn counted(
        &self,
        request: &Request,
        operation: Option<&'static Operation>,
    ) -> Result<(Option<RateLimitStatus>, Result<Option<Caller>, Error>), RateLimitStatus> {
        let is_named = request.headers().contains_key(header::AUTHORIZATION);
        let is_probe = !is_named && operation.is_some_and(|operation| !operation.path.starts_with("/v1/"));
        let client = self.proxies.client_of(request);
        let address = network_of(client);
        if is_named && let Err(left) = self.rates.addresses.check(address, Instant::now()) {
            // Strangers at the same address must not lock out a program that has just been authenticated. This does not
            // hold for passwords: an attacker could test whether one is right without limit.
            if !auth::has_known_token(&self.authenticator, request) {
                return Err(left);
            }
        }
        let hang_up = HangUp { rate: &self.rates.addresses, address, answered: false };
        let caller = auth::caller(&self.authenticator, request, client).await;
        hang_up.answered();
        let left = match &caller {
            Ok(Some(caller)) => self.rates.users.try_acquire(caller.user.user_id, Instant::now())?,
            Ok(None) if is_probe => None,
            Ok(None) | Err(_) => self.rates.addresses.try_acquire(address, Instant::now())?,
        };
        Ok((left, caller))
    }

    async fn admitted<E>(
        self: &Arc<Self>,
        next: Arc<E>,
        mut request: Request,
        caller: Option<Caller>,
        operation: Option<&'static Operation>,
    ) -> poem::Result<Response>
    where
        E: Endpoint<Output = Response> + 'static,
    {
        let Some(operation) = operation else { return next.call(request).await };
        auth::authorize(operation, caller.as_ref())?;
        let uri = request.uri();
        parameters::check(&operation.parameters, uri.query().unwrap_or_default(), operation.in_path(uri.path()))?;
        if operation.takes_body {
            operation.rules.body.apply(&mut request)?;
        } else {
            BodyRules::refuse(&mut request).await?;
        }
        let preconditions = Preconditions::of(operation, request.headers())?;
        let uri = request.uri().clone();
        let response = Arc::clone(self).respond(next, request, caller, operation.rules.id);
        // A read ends with its caller's connection; a change that has begun is made, with all that follows from it.
        let mut response = if operation.method.is_safe() {
            response.await?
        } else {
            request_context::to_the_end(preconditions.guard(Box::pin(response))).await?
        };
        if let Some(deadline) = operation.rules.response_deadline {
            response.set_data(ResponseDeadline(deadline));
        }
        match operation.rules.kind {
            _ if response.status() != StatusCode::OK => Ok(response),
            Kind::Object => Ok(preconditions.tagged(response).await),
            Kind::Page => Ok(linked(&uri, response)),
            Kind::Other => Ok(response),
        }
    }

    async fn respond<E>(
        self: Arc<Self>,
        next: Arc<E>,
        mut request: Request,
        caller: Option<Caller>,
        operation_id: &'static str,
    ) -> poem::Result<Response>
    where
        E: Endpoint<Output = Response> + 'static,
    {
        let Some(caller) = caller else { return next.call(request).await };
        let call = Call { user_id: caller.user.user_id, operation_id, attempt: None };
        request.set_data(caller);
        self.idempotency.call(call, next, request).await
    }
}

/// Adds the link to the next page (RFC 8288).
fn linked(uri: &Uri, mut response: Response) -> Response {
    let page = response.extensions_mut().remove::<JsonValue>();
    if let Some(next) = page.as_ref().and_then(|page| page.0["next"].as_str()) {
        let before = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(before.filter(|(name, _)| name != "cursor"))
            .append_pair("cursor", next)
            .finish();
        if let Ok(link) = HeaderValue::from_str(&format!("<{}?{query}>; rel=\"next\"", uri.path())) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    response
}
