//! `Idempotency-Key`: allows a POST to be sent again without repeating its effect.
//!
//! The guarantee: with one key a change is made at most once, even if the server dies at any point. The change's own
//! transaction (`request_context::begin`) notes that the change is made; the response is recorded right after it. If
//! the server dies between the two, the key reports this (409, `response_lost`) instead of making the change again. If
//! it dies earlier, the request may be sent again after a minute. A caller that disconnects does not stop the
//! operation: it is expected to come back for the response.
//!
//! A value that is returned once (a token's secret) is returned again to a caller that sends the same request with the
//! same key within a day, since it may never have received the first response. Recorded responses are therefore
//! encrypted, with the same key as the VPN keys.
//!
//! A refusal is not recorded: nothing was changed, and what refused it may have changed when the request is sent again (a
//! pool has room again, a quota is raised).

mod db;

use std::{
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use futures_util::FutureExt as _;
use poem::{
    Body, Endpoint, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};
use ring::digest::{Context, SHA256};
use sqlx::PgPool;

use super::parameters;
use crate::{
    code::Code,
    error::{Error, FieldError},
    http::{body::unread, problem},
    request_context::{self, Call, IdempotencyAttempt},
    seal::Sealer,
};
pub(in crate::server) use db::forget;

/// The request header.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Response header that marks a repeated response.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Returns the request's key, if it has one and its method uses it.
fn key_of(request: &Request) -> Result<Option<String>, Error> {
    let Some(value) = request.headers().get(KEY).filter(|_| request.method() == Method::POST) else { return Ok(None) };
    let wrong = || {
        let message = "must be 1 to 255 visible ASCII characters";
        Error::Parameters(vec![FieldError::of("header", "Idempotency-Key", message)])
    };
    let text = value.to_str().map_err(|_| wrong())?;
    let right = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if right { Ok(Some(text.to_owned())) } else { Err(wrong()) }
}

/// Stores the keys and their responses.
#[derive(Clone)]
pub(in crate::server) struct IdempotencyStore {
    pub pool: PgPool,
    pub sealer: Arc<Sealer>,
}

impl IdempotencyStore {
    /// Runs an operation, or returns its recorded response.
    pub(in crate::server) async fn call<E>(&self, call: Call, next: Arc<E>, request: Request) -> poem::Result<Response>
    where
        E: Endpoint<Output = Response> + 'static,
    {
        match key_of(&request)? {
            Some(key) => Box::pin(self.once(key, call, next, request)).await,
            None => request_context::of_call(call, next.call(request)).await,
        }
    }

    async fn once<E>(&self, key: String, mut call: Call, next: Arc<E>, mut request: Request) -> poem::Result<Response>
    where
        E: Endpoint<Output = Response> + 'static,
    {
        let body = request.take_body().into_bytes().await.map_err(unread)?;
        let request_hash = hash(&request, &body);
        request.set_body(Body::from(body));
        let claimed = db::claim(&self.pool, call.user_id, &key, &request_hash).await.map_err(Error::from)?;
        let Some(attempt) = claimed else {
            return Ok(self.before(call.user_id, &key, &request_hash).await?);
        };
        call.attempt = Some(attempt.clone());
        let response = AssertUnwindSafe(request_context::of_call(call, next.call(request))).catch_unwind().await;
        match response {
            Ok(response) => {
                let response = problem::write(response.unwrap_or_else(parameters::named)).await;
                Ok(self.record(&attempt, response).await)
            }
            Err(panic) => {
                db::release(&self.pool, &attempt).await.map_err(Error::from)?;
                panic::resume_unwind(panic)
            }
        }
    }

    /// Returns the response to a request whose key is already known.
    async fn before(&self, user_id: i64, key: &str, request_hash: &[u8]) -> Result<Response, Error> {
        let conflict = |code, detail: &str| Error::Conflict { code, detail: detail.into(), field: None };
        let running =
            || conflict(Code::IdempotencyKeyInUse, "the first request with this Idempotency-Key is still in progress");
        // None: the key was released at this very moment.
        let known = db::known(&self.pool, user_id, key).await?.ok_or_else(running)?;
        if known.request_hash != request_hash {
            return Err(Error::IdempotencyKeyReused);
        }
        let lost = || {
            let detail =
                "the change was made, but its response was lost; check the current state before requesting it again";
            conflict(Code::ResponseLost, detail)
        };
        let (Some(status), Some(body), Some(key_id)) = (known.status, known.body, known.body_key_id) else {
            return Err(if known.changed && known.given_up { lost() } else { running() });
        };
        // Encrypted with a secret key that this server no longer has.
        let body = self.sealer.open(&seal_context(user_id, key), &key_id, &body).map_err(|_| lost())?;
        let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let mut response = Response::builder().status(status.unwrap_or_default()).body(body);
        let headers = response.headers_mut();
        for (name, value) in [(header::LOCATION, known.location), (header::CONTENT_TYPE, known.content_type)] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.insert(name, value);
            }
        }
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }

    /// Records the response. If that fails, the caller still gets it: the change is made, and noted as made.
    async fn record(&self, attempt: &IdempotencyAttempt, mut response: Response) -> Response {
        let recorded = if response.status().is_client_error() || response.status().is_server_error() {
            db::release(&self.pool, attempt).await.map_err(Error::from)
        } else {
            self.keep(attempt, &mut response).await
        };
        if let Err(Error::Internal(cause) | Error::Unavailable(cause)) = recorded {
            tracing::error!(error = format!("{cause:#}"), "the response for an Idempotency-Key could not be recorded");
        }
        response
    }

    async fn keep(&self, attempt: &IdempotencyAttempt, response: &mut Response) -> Result<(), Error> {
        let body = response.take_body().into_vec().await.map_err(anyhow::Error::new)?;
        let sealed = self.sealer.seal(&seal_context(attempt.user_id, &attempt.key), &body);
        response.set_body(body);
        let text =
            |headers: &HeaderMap, name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (location, content_type) =
            (text(response.headers(), header::LOCATION), text(response.headers(), header::CONTENT_TYPE));
        let response = db::StoredResponse {
            status: i16::try_from(response.status().as_u16()).unwrap_or(200),
            location: location.as_deref(),
            content_type: content_type.as_deref(),
            body: &sealed?,
            body_key_id: self.sealer.key_id(),
        };
        Ok(db::record(&self.pool, attempt, &response).await?)
    }
}

fn hash(request: &Request, body: &[u8]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in [request.method().as_str(), &request.uri().to_string()] {
        context.update(part.as_bytes());
        context.update(&[0]);
    }
    context.update(body);
    context.finish().as_ref().to_vec()
}

fn seal_context(user_id: i64, key: &str) -> String {
    format!("idempotency.body {user_id} {key}")
}
