//! Lists in pages: by id, so that a page costs the same wherever it is.

use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult};

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Objects after this id.
    pub after: i64,
    /// At most this many.
    pub limit: i64,
}

/// Objects on a page when the caller does not say how many.
pub const fn page_size() -> u8 {
    50
}

/// A list's part and the cursor of the next one. `rows` are one more than `limit` if there is more.
pub fn page<T>(mut rows: Vec<T>, window: Window, id: impl Fn(&T) -> i64) -> (Vec<T>, Option<String>) {
    let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| id(last).to_string());
    (rows, next)
}

impl Window {
    /// From the query's parameters.
    pub fn new(limit: u8, cursor: Option<Cursor>) -> Self {
        Self { after: cursor.map_or(0, |cursor| cursor.0), limit: limit.into() }
    }

    /// One more than asked for: whether there is a next page.
    pub const fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// Everything, for a single object.
    pub const fn all() -> Self {
        Self { after: 0, limit: i64::MAX - 1 }
    }
}

/// Where a page begins; made by the server.
#[derive(Debug, Clone, Copy)]
pub struct Cursor(i64);

super::scalars::scalar!([] Cursor);

impl super::scalars::Scalar for Cursor {
    fn component() -> String {
        "Cursor".into()
    }

    fn schema() -> poem_openapi::registry::MetaSchema {
        super::scalars::string_schema("cursor", "^[0-9]{1,18}$", "42", "What `next` of the page before says.")
    }

    fn parse(value: &serde_json::Value) -> Result<Self, String> {
        Self::from_text(value.as_str().unwrap_or_default())
    }
}

impl Cursor {
    fn from_text(text: &str) -> Result<Self, String> {
        let digits = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let id = text.parse().ok().filter(|_| digits);
        id.map(Self).ok_or_else(|| "must be the `next` of a page before".to_owned())
    }
}

impl ParseFromParameter for Cursor {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::from_text(text).map_err(ParseError::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_begins_after_the_last_of_this_one() {
        let window = Window { after: 0, limit: 2 };
        assert_eq!(page(vec![4, 7, 9], window, |id| *id), (vec![4, 7], Some("7".to_owned())));
        assert_eq!(page(vec![4, 7], window, |id| *id), (vec![4, 7], None));
        assert_eq!(page(Vec::new(), window, |id| *id), (Vec::new(), None));
    }
}
