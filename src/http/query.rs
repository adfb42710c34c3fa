//! Queries of addresses. What an operation does not know is refused: a filter that is misspelt would give everything.

use std::collections::HashSet;

use poem::http::Uri;
use url::form_urlencoded;

use super::{body::shown, spec::Operation};
use crate::error::Error;

/// What a decoder puts in the place of bytes that are no UTF-8.
const NO_TEXT: char = char::REPLACEMENT_CHARACTER;

/// Each parameter is one of the operation's, there once, and text.
pub(super) fn check(operation: &Operation, uri: &Uri) -> Result<(), Error> {
    let mut seen = HashSet::new();
    let mut wrong = Vec::new();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        let known = operation.query.iter().any(|known| *known == name);
        if !known {
            let names = operation.query.join(", ");
            let names = if names.is_empty() { "none" } else { &names };
            wrong.push(format!("the query parameter {} is unknown; known are: {names}", shown(&name)));
        } else if value.contains(NO_TEXT) {
            wrong.push(format!("the query parameter {name} must be UTF-8"));
        } else if !seen.insert(name.clone()) {
            wrong.push(format!("the query parameter {name} is there twice"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::Malformed(wrong.join("; ").into())) }
}
