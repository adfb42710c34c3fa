//! Queries of addresses. What an operation does not know is refused: a filter that is misspelt would give everything.

use std::collections::HashSet;

use poem::http::Uri;
use url::form_urlencoded;

use super::{body::shown, spec::Operation};
use crate::error::{Error, FieldError};

/// What a decoder puts in the place of bytes that are no UTF-8.
const NO_TEXT: char = char::REPLACEMENT_CHARACTER;

/// Each parameter is one of the operation's, there once, and text.
pub(super) fn check(operation: &Operation, uri: &Uri) -> Result<(), Error> {
    let mut seen = HashSet::new();
    let mut errors = Vec::new();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if !operation.query.iter().any(|known| *known == name) {
            let known = if operation.query.is_empty() { "none".to_owned() } else { operation.query.join(", ") };
            errors.push(FieldError::new(shown(&name), format!("is unknown; known are: {known}")));
        } else if value.contains(NO_TEXT) {
            errors.push(FieldError::new(&name, "must be UTF-8"));
        } else if !seen.insert(name.clone()) {
            errors.push(FieldError::new(&name, "must be there only once"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Parameters(errors)) }
}
