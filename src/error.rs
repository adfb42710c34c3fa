//! The error type of the domain: variants by what the client can do about the error. `http::problem` turns it into
//! `application/problem+json`; causes of internal errors are logged there and never returned.

use std::{
    borrow::Cow,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

pub use crate::code::Code;

/// An error in one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// The part of the request with the field: `body`, `query`, `path` or `header`.
    #[serde(rename = "in")]
    pub place: &'static str,
    /// A JSON pointer (RFC 6901) into the request's body; for a parameter, its name after a slash.
    pub pointer: String,
    /// The problem, and the accepted form.
    pub message: String,
}

impl FieldError {
    /// Creates an error of a member of the body's object.
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self::of("body", field, message)
    }

    /// Creates an error of a field in another place.
    pub fn of(place: &'static str, field: &str, message: impl Into<String>) -> Self {
        Self { place, pointer: String::new(), message: message.into() }.inside(field)
    }

    /// Returns the same error, seen from the object (or list) that contains the named object as its member (or item).
    #[must_use]
    pub fn inside(self, field: &str) -> Self {
        let field = field.replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("/{field}{}", self.pointer), ..self }
    }
}

/// The largest number of wrong fields that a response names: otherwise a response could be a hundred times as large as
/// its request.
pub const MAX_ERRORS: usize = 100;

/// The reason for which a request was refused. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: the form of the request is invalid.
    #[error("{0}")]
    Malformed(Cow<'static, str>),
    /// 400: all parameters with wrong values.
    #[error("{}", count_wrong("parameter", .0))]
    Parameters(Vec<FieldError>),
    /// 401: the request has no valid credentials.
    #[error("{0}")]
    Unauthenticated(Cow<'static, str>),
    /// 403: the caller may not do this at all.
    #[error("{0}")]
    Forbidden(Cow<'static, str>),
    /// 403: the scopes of the caller's token do not allow this.
    #[error("this token lacks the scope `{0}`; create another one with POST /v1/token")]
    InsufficientScope(&'static str),
    /// 404: the object does not exist, or is not the caller's.
    #[error("{0}")]
    NotFound(Cow<'static, str>),
    /// 409: the request conflicts with the present state.
    #[error("{detail}")]
    Conflict {
        /// The code of the conflict.
        code: Code,
        /// The present state, and what would be accepted.
        detail: String,
        /// The conflicting field, if there is one.
        field: Option<&'static str>,
    },
    /// 412: the object has changed since the caller read it.
    #[error("the object has changed since you read it; read it again, then repeat the change if it is still needed")]
    PreconditionFailed,
    /// 412: the precondition names weak tags alone, which never match (RFC 9110, 13.1.1).
    #[error(
        "If-Match has a weak ETag (W/\"...\"), which never matches; a proxy that compresses makes ETags weak: leave out the W/, \
         or have the proxy leave responses as they are"
    )]
    WeakPrecondition,
    /// 415: the body is compressed, or otherwise encoded.
    #[error("the body has the Content-Encoding {0}; send it as it is, without one")]
    ContentEncoding(String),
    /// 415: the body is not of the media type that the operation takes.
    #[error("send the body as {0}")]
    MediaType(&'static str),
    /// 422: the Idempotency-Key was used for another request.
    #[error("this Idempotency-Key was used for another request; use a new key for each request")]
    IdempotencyKeyReused,
    /// 422: all fields with wrong values.
    #[error("{}", count_wrong("field", .0))]
    Invalid(Vec<FieldError>),
    /// 429: too many wrong passwords.
    #[error("too many wrong passwords; try again in {retry_after_seconds} s")]
    LoginThrottled {
        /// The seconds to wait; earlier requests are refused.
        retry_after_seconds: u64,
    },
    /// 429: too many requests.
    #[error("too many requests; try again in {retry_after_seconds} s")]
    RateLimited {
        /// The seconds to wait; earlier requests are refused.
        retry_after_seconds: u64,
    },
    /// 503: a required part of the service does not respond; the text is for the monitoring system.
    #[error("{0}")]
    NotReady(Cow<'static, str>),
    /// 503: a required part of the service does not respond; retrying later helps.
    #[error("a part of the service does not respond; retry later")]
    Unavailable(#[source] anyhow::Error),
    /// 500: a fault of the server.
    #[error("internal error")]
    Internal(#[source] anyhow::Error),
}

fn count_wrong(what: &str, errors: &[FieldError]) -> String {
    match errors.len() {
        1 => format!("one {what} is wrong"),
        wrong @ ..=MAX_ERRORS => format!("{wrong} {what}s are wrong"),
        wrong => format!("{wrong} {what}s are wrong; the first {MAX_ERRORS} are named"),
    }
}

impl Error {
    /// Creates an error with one wrong field.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }

    /// Creates a conflict over one field.
    pub fn conflict(code: Code, field: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict { code, detail: detail.into(), field: Some(field) }
    }
}

/// The time of the last error of a server that only reads: it has become a standby.
static READ_ONLY_SEEN: Mutex<Option<Instant>> = Mutex::new(None);
/// The code of such an error.
const READ_ONLY: &str = "25006";

/// Returns whether a server that only reads was seen within the last `age`: connections that are as old may lead to it.
pub(crate) fn was_read_only_within(age: Duration) -> bool {
    let seen = READ_ONLY_SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.is_some_and(|seen| seen.elapsed() <= age)
}

/// Returns true if PostgreSQL is unavailable: it starts or stops (57P), lacks connections (53), refuses the login (08,
/// 28, 3D), has become a standby (25006), or prefers another transaction (40).
pub(crate) fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(error) => {
            let classes = ["57P", "53", "08", "28", "3D", "40", READ_ONLY];
            if error.code().is_some_and(|code| code == READ_ONLY) {
                READ_ONLY_SEEN.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
            }
            error.code().is_some_and(|code| classes.iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if is_outage(&error) { Self::Unavailable(error.into()) } else { Self::Internal(error.into()) }
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<ring::error::Unspecified> for Error {
    fn from(_: ring::error::Unspecified) -> Self {
        Self::Internal(anyhow::anyhow!("the system provides no random numbers, or a ciphertext is damaged"))
    }
}

/// Turns the violation of a named constraint into an error for the client.
pub trait OnConstraint<T> {
    /// Returns the error of `refusal` if the database refused the change because of `constraint`.
    fn on_constraint(self, constraint: &str, refusal: impl FnOnce() -> Error) -> Result<T, Error>;
}

impl<T, E: Into<Error> + AsConstraint> OnConstraint<T> for Result<T, E> {
    fn on_constraint(self, constraint: &str, refusal: impl FnOnce() -> Error) -> Result<T, Error> {
        self.map_err(|error| if error.constraint() == Some(constraint) { refusal() } else { error.into() })
    }
}

/// An error that may contain the name of a constraint.
pub trait AsConstraint {
    /// Returns the constraint's name.
    fn constraint(&self) -> Option<&str>;
}

impl AsConstraint for sqlx::Error {
    fn constraint(&self) -> Option<&str> {
        self.as_database_error().and_then(sqlx::error::DatabaseError::constraint)
    }
}

impl AsConstraint for Error {
    fn constraint(&self) -> Option<&str> {
        match self {
            Self::Internal(cause) => cause.downcast_ref::<sqlx::Error>()?.constraint(),
            _ => None,
        }
    }
}
