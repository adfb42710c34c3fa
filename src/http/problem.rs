//! Errors as `application/problem+json` (RFC 9457): one format for the domain's errors and for the framework's own.

use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaResponses, Registry},
};
use serde::Serialize;

use super::body;
use crate::{
    code::Code,
    error::{Error, FieldError, MAX_ERRORS},
    request_context,
};

/// Media type of problems.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";
/// Hint for anonymous callers.
pub(crate) const SIGN_IN: &str = "sign in with user name and password (HTTP Basic) or a token (Bearer)";
/// Seconds to wait before the next attempt.
const RETRY_AFTER_SECS: u64 = 5;

/// A problem before it is serialized.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    status: u16,
    detail: String,
    code: Code,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(skip_serializing_if = "String::is_empty")]
    request_id: String,
    /// Sent in the header `Retry-After`.
    #[serde(skip)]
    retry_after_seconds: u64,
}

impl Problem {
    fn new(code: Code, detail: String) -> Self {
        let status = status_of(code);
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            detail,
            code,
            errors: Vec::new(),
            request_id: String::new(),
            retry_after_seconds: RETRY_AFTER_SECS,
        }
    }
}

impl Error {
    const fn code(&self) -> Code {
        match self {
            Self::Malformed(_) | Self::Parameters(_) => Code::Malformed,
            Self::Unauthenticated(_) => Code::Unauthenticated,
            Self::Forbidden(_) => Code::Forbidden,
            Self::InsufficientScope(_) => Code::InsufficientScope,
            Self::NotFound(_) => Code::NotFound,
            Self::Conflict { code, .. } => *code,
            Self::PreconditionFailed | Self::WeakPrecondition => Code::PreconditionFailed,
            Self::ContentEncoding(_) | Self::MediaType(_) => Code::UnsupportedMediaType,
            Self::IdempotencyKeyReused => Code::IdempotencyKeyReused,
            Self::Invalid(_) => Code::Invalid,
            Self::LoginThrottled { .. } => Code::TooManyRequests,
            Self::RateLimited { .. } => Code::RateLimited,
            Self::NotReady(_) | Self::Unavailable(_) => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }
}

fn status_of(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Carries the problem as data; the middleware serializes it, because only the middleware knows the request's id.
impl From<Error> for poem::Error {
    fn from(error: Error) -> Self {
        let code = error.code();
        let mut problem = Problem::new(code, error.to_string());
        match error {
            Error::Invalid(mut errors) | Error::Parameters(mut errors) => {
                errors.truncate(MAX_ERRORS);
                problem.errors = errors;
            }
            Error::Conflict { detail, field, .. } => {
                problem.errors = field.map(|field| FieldError::new(field, detail)).into_iter().collect();
            }
            Error::LoginThrottled { retry_after_seconds } | Error::RateLimited { retry_after_seconds } => {
                problem.retry_after_seconds = retry_after_seconds;
            }
            // Logged only here; the caller gets the request's id, with which staff can find the log entry.
            Error::Unavailable(cause) => {
                tracing::error!(error = format!("{cause:#}"), "a dependency of the service is unavailable");
            }
            Error::Internal(cause) => tracing::error!(error = format!("{cause:#}"), "request failed"),
            Error::Malformed(_)
            | Error::Unauthenticated(_)
            | Error::Forbidden(_)
            | Error::InsufficientScope(_)
            | Error::NotFound(_)
            | Error::NotReady(_)
            | Error::PreconditionFailed
            | Error::WeakPrecondition
            | Error::IdempotencyKeyReused
            | Error::ContentEncoding(_)
            | Error::MediaType(_) => {}
        }
        let mut carrier = Self::from_status(status_of(code));
        carrier.set_data(problem);
        carrier
    }
}

/// Empty, because `spec` adds the errors to the document, depending on the operation's parameters and body.
impl ApiResponse for Error {
    fn meta() -> MetaResponses {
        MetaResponses { responses: Vec::new() }
    }

    fn register(_: &mut Registry) {}
}

/// Returns the code of a status that the framework itself produces.
const fn code_of(status: StatusCode) -> Code {
    match status.as_u16() {
        401 => Code::Unauthenticated,
        403 => Code::Forbidden,
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        408 => Code::RequestTimeout,
        412 => Code::PreconditionFailed,
        413 => Code::ContentTooLarge,
        414 => Code::UriTooLong,
        415 => Code::UnsupportedMediaType,
        422 => Code::Invalid,
        429 => Code::TooManyRequests,
        431 => Code::HeadersTooLarge,
        400..500 => Code::Malformed,
        503 => Code::Unavailable,
        _ => Code::Internal,
    }
}

/// Replaces the framework's texts, which are for server developers, by texts for callers.
async fn of_framework(status: StatusCode, response: &mut Response) -> Problem {
    let detail = match status {
        StatusCode::UNAUTHORIZED => SIGN_IN.to_owned(),
        StatusCode::NOT_FOUND => "this path does not exist; GET /api/ lists the operations".to_owned(),
        StatusCode::METHOD_NOT_ALLOWED => "this path does not support this method; see the header Allow".to_owned(),
        StatusCode::URI_TOO_LONG => "the URI is longer than 8 KiB".to_owned(),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the headers are larger than 32 KiB".to_owned(),
        status if status.is_server_error() => "internal error".to_owned(),
        _ => body::plain(&response.take_body().into_string().await.unwrap_or_default()),
    };
    Problem::new(code_of(status), detail)
}

/// Returns a problem with this status, for the document.
pub(crate) fn example(status: u16) -> serde_json::Value {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let detail = match status {
        StatusCode::UNPROCESSABLE_ENTITY => "one field is wrong",
        _ => "what is wrong, and the accepted form",
    };
    // Conflicts come from the domain, which has many codes for them.
    let code = if status == StatusCode::CONFLICT { Code::NameTaken } else { code_of(status) };
    let mut problem = Problem::new(code, detail.to_owned());
    if status == StatusCode::UNPROCESSABLE_ENTITY {
        problem.errors = vec![FieldError::new("network_size", "must be a whole number from 1 to 128")];
    }
    "9f86d081884c7d65".clone_into(&mut problem.request_id);
    serde_json::to_value(problem).unwrap_or_default()
}

/// Converts every response from 400 up to a problem, unless it is one already.
pub(crate) async fn write(mut response: Response) -> Response {
    let status = response.status();
    let is_problem = status.is_client_error() || status.is_server_error();
    if !is_problem || response.content_type() == Some(CONTENT_TYPE) {
        return response;
    }
    let mut problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None => of_framework(status, &mut response).await,
    };
    problem.request_id = request_context::request_id().unwrap_or_default();
    let status = status_of(problem.code);
    response.set_status(status);
    response.set_body(serde_json::to_vec(&problem).unwrap_or_default());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    match status {
        StatusCode::UNAUTHORIZED => {
            for way in ["Basic realm=\"uncloud\", charset=\"UTF-8\"", "Bearer realm=\"uncloud\""] {
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(way));
            }
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, problem.retry_after_seconds.into());
        }
        _ => {}
    }
    response
}
