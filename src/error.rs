//! The one error of the domain: variants by what the caller can do about it. `http::problem` turns it into
//! `application/problem+json`; causes of faults are logged there and never shown.

use std::borrow::Cow;

pub use crate::code::Code;

/// What was wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// Where the field is: `body`, `query`, `path` or `header`.
    #[serde(rename = "in")]
    pub place: &'static str,
    /// JSON pointer (RFC 6901) into the request's body; of a parameter its name after a slash.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl FieldError {
    /// An error of a member of the body's object.
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self::of("body", field, message)
    }

    /// An error of a field elsewhere.
    pub fn of(place: &'static str, field: &str, message: impl Into<String>) -> Self {
        Self { place, pointer: String::new(), message: message.into() }.inside(field)
    }

    /// The same error, seen from the object (or list) that has what it names as its member (or item).
    #[must_use]
    pub fn inside(self, field: &str) -> Self {
        let field = field.replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("/{field}{}", self.pointer), ..self }
    }
}

/// No answer names more wrong fields: one could be asked for that is a hundred times as large as its question.
pub const MAX_ERRORS: usize = 100;

/// Why a request was not done. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: not even the form is right.
    #[error("{0}")]
    Malformed(Cow<'static, str>),
    /// 400: parameters with wrong values, all of them.
    #[error("{}", count_wrong("parameter", .0))]
    Parameters(Vec<FieldError>),
    /// 401: nobody known asked.
    #[error("{0}")]
    Unauthenticated(Cow<'static, str>),
    /// 403: the caller may not do this at all.
    #[error("{0}")]
    Forbidden(Cow<'static, str>),
    /// 403: the caller's token may not be used for this.
    #[error("this token lacks the scope `{0}`; make another one with POST /v1/token")]
    Scope(&'static str),
    /// 404: no such object, or not the caller's.
    #[error("{0}")]
    NotFound(Cow<'static, str>),
    /// 409: at odds with what is there.
    #[error("{detail}")]
    Conflict {
        /// What kind of conflict.
        code: Code,
        /// What is there, and what would work.
        detail: String,
        /// The field at odds, if it is one.
        field: Option<&'static str>,
    },
    /// 412: the object is no longer what the caller has read.
    #[error("this has changed since you read it; read it again, and see whether you still want your change")]
    Changed,
    /// 422: fields with wrong values, all of them.
    #[error("{}", count_wrong("field", .0))]
    Invalid(Vec<FieldError>),
    /// 429: too many wrong passwords.
    #[error("too many wrong passwords; try again in {retry_after_secs} s")]
    TooMany {
        /// Earlier is in vain.
        retry_after_secs: u64,
    },
    /// 429: too many requests.
    #[error("you ask too often; try again in {retry_after_secs} s")]
    TooOften {
        /// Earlier is in vain.
        retry_after_secs: u64,
    },
    /// 503: a part that we need does not answer, said to whoever watches us.
    #[error("{0}")]
    NotReady(Cow<'static, str>),
    /// 503: a part that we need does not answer; trying again later helps.
    #[error("a part of the service does not answer")]
    Unavailable(#[source] anyhow::Error),
    /// 500: our fault.
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
    /// One wrong field.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }

    /// A conflict over one field.
    pub fn conflict(code: Code, field: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict { code, detail: detail.into(), field: Some(field) }
    }
}

/// Postgres says so while it starts or stops (57P), lacks connections (53), does not let us in (08, 28, 3D), or let
/// another transaction go first (40).
pub(crate) fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(error) => {
            let classes = ["57P", "53", "08", "28", "3D", "40"];
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
        Self::Internal(anyhow::anyhow!("the system gave no random numbers, or a ciphertext is damaged"))
    }
}

/// Turns a refusal by a named constraint into an answer for the caller.
pub trait OnConstraint<T> {
    /// If the database refused because of `constraint`, the error is what `refusal` says.
    fn on_constraint(self, constraint: &str, refusal: impl FnOnce() -> Error) -> Result<T, Error>;
}

impl<T, E: Into<Error> + AsConstraint> OnConstraint<T> for Result<T, E> {
    fn on_constraint(self, constraint: &str, refusal: impl FnOnce() -> Error) -> Result<T, Error> {
        self.map_err(|error| if error.constraint() == Some(constraint) { refusal() } else { error.into() })
    }
}

/// Errors that may name a constraint.
pub trait AsConstraint {
    /// Its name.
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
