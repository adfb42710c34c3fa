//! `Idempotency-Key`: a POST that may be sent again without being done again.
//!
//! What is guaranteed: with one key a change is made at most once, whatever dies in between. That it is made is noted in
//! its own transaction (`request_context::begin`); the answer is recorded right after. If the server dies between the two, the key
//! says so (409, `response_lost`) instead of making the change again. If it dies before, the request may be sent again after
//! a minute. A caller that goes away stops nothing: it will come again for the answer. An answer from 500 up is not
//! recorded.
//!
//! What is shown once (a token's secret) is shown again to whoever sends the same request with the same key within the day,
//! since that caller may never have seen it. So answers rest encrypted, under the key that VPN keys rest under.
//!
//! A refusal that is long (it names a hundred wrong fields) is not kept: nothing was changed, and the request is refused again.

mod db;

use std::{panic, sync::Arc};

use poem::{
    Body, Endpoint, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};
use ring::digest::{Context, SHA256};
use sqlx::PgPool;
use tracing::Instrument as _;

use super::parameters;
use crate::{
    code::Code,
    error::{Error, FieldError},
    http::{
        body::{MAX_BODY, unread},
        problem,
    },
    request_context::{self, Call, IdempotencyAttempt},
    seal::Sealer,
};
pub(in crate::server) use db::forget;

/// The header.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Bytes; those of a few wrong fields.
const MAX_REFUSAL: usize = 1024;
/// Tells that nothing was done this time.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The key of a request, if it has one that counts.
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

/// Where answers are kept.
#[derive(Clone)]
pub(in crate::server) struct IdempotencyStore {
    pub pool: PgPool,
    pub sealer: Arc<Sealer>,
}

impl IdempotencyStore {
    /// Lets an operation answer, or answers as it did before.
    pub(in crate::server) async fn call<E>(
        &self,
        mut call: Call,
        next: Arc<E>,
        mut request: Request,
    ) -> poem::Result<Response>
    where
        E: Endpoint<Output = Response> + 'static,
    {
        let Some(key) = key_of(&request)? else {
            return request_context::of_call(call, next.call(request)).await;
        };
        let body = request.take_body().into_bytes_limit(MAX_BODY).await.map_err(unread)?;
        let request_hash = hash(&request, &body);
        request.set_body(Body::from(body));
        let claimed = db::claim(&self.pool, call.user_id, &key, &request_hash).await.map_err(Error::from)?;
        let Some(attempt) = claimed else {
            return Ok(self.before(call.user_id, &key, &request_hash).await?);
        };
        call.attempt = Some(attempt.clone());
        let (answers, unfinished) = (self.clone(), attempt.clone());
        let answer = async move {
            let response = request_context::of_call(call, next.call(request)).await.unwrap_or_else(parameters::named);
            answers.record(&attempt, problem::write(response).await).await
        };
        let answer = request_context::of_request(request_context::request_id().unwrap_or_default(), answer);
        let answer = tokio::spawn(answer.in_current_span()).await;
        match answer {
            Ok(response) => Ok(response),
            Err(error) => {
                db::release(&self.pool, &unfinished).await.map_err(Error::from)?;
                panic::resume_unwind(error.into_panic())
            }
        }
    }

    /// The answer to a request that was here before.
    async fn before(&self, user_id: i64, key: &str, request_hash: &[u8]) -> Result<Response, Error> {
        let conflict = |code, detail: &str| Error::Conflict { code, detail: detail.into(), field: None };
        let running = || {
            conflict(Code::IdempotencyKeyInUse, "the first request with this Idempotency-Key is still being worked on")
        };
        // None: it was given back in this moment.
        let known = db::known(&self.pool, user_id, key).await?.ok_or_else(running)?;
        if known.request_hash != request_hash {
            let message = "was used for another request; take a new one for each";
            return Err(Error::Invalid(vec![FieldError::of("header", "Idempotency-Key", message)]));
        }
        let lost = || {
            let detail =
                "the change was made, but its answer was lost; look at what is there before asking for it again";
            conflict(Code::ResponseLost, detail)
        };
        let (Some(status), Some(body), Some(key_id)) = (known.status, known.body, known.body_key_id) else {
            return Err(if known.changed && known.given_up { lost() } else { running() });
        };
        // Under a secret key that this server no longer has.
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

    /// Keeps the answer. When that fails the caller gets it all the same: the change is made, and noted as such.
    async fn record(&self, attempt: &IdempotencyAttempt, mut response: Response) -> Response {
        let recorded = if response.status().is_server_error() {
            db::release(&self.pool, attempt).await.map_err(Error::from)
        } else {
            self.keep(attempt, &mut response).await
        };
        if let Err(Error::Internal(cause) | Error::Unavailable(cause)) = recorded {
            tracing::error!(error = format!("{cause:#}"), "the answer to an Idempotency-Key could not be recorded");
        }
        response
    }

    async fn keep(&self, attempt: &IdempotencyAttempt, response: &mut Response) -> Result<(), Error> {
        let body = response.take_body().into_vec().await.map_err(anyhow::Error::new)?;
        if response.status().is_client_error() && body.len() > MAX_REFUSAL {
            response.set_body(body);
            return Ok(db::release(&self.pool, attempt).await?);
        }
        let sealed = self.sealer.seal(&seal_context(attempt.user_id, &attempt.key), &body);
        response.set_body(body);
        let text =
            |headers: &HeaderMap, name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (location, content_type) =
            (text(response.headers(), header::LOCATION), text(response.headers(), header::CONTENT_TYPE));
        let answer = db::Answer {
            status: i16::try_from(response.status().as_u16()).unwrap_or(200),
            location: location.as_deref(),
            content_type: content_type.as_deref(),
            body: &sealed?,
            body_key_id: self.sealer.key_id(),
        };
        Ok(db::answered(&self.pool, attempt, &answer).await?)
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
