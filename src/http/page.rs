//! Lists in pages: by a unique key, so that a page costs the same wherever it is.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult};

use super::Sort;
use crate::error::{Error, FieldError};

/// Which part of a list is asked for: by id, which is the order in which objects were made, or by what `After` is.
#[derive(Debug, Clone, Copy)]
pub struct PageQuery<After = i64> {
    /// The last object of the page before; none: the list's begin.
    after: Option<After>,
    /// From the last object to the first.
    pub descending: bool,
    /// At most this many.
    limit: i64,
}

/// A part of a list that can also be had by name.
#[derive(Debug, Clone)]
pub enum NamedPageQuery {
    /// By id.
    Id(PageQuery),
    /// By name.
    Name(PageQuery<String>),
}

/// Objects on a page when the caller does not say how many.
pub const fn page_size() -> u8 {
    50
}

impl<After> PageQuery<After> {
    /// One more than asked for: whether there is a next page.
    pub const fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// A list's part and the cursor of the next one. `rows` are one more than the window has if there is more.
    fn cut<T>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> Key) -> (Vec<T>, Option<String>) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more);
        let next = next.map(|last| Cursor { key: key(last), descending: self.descending }.to_string());
        (rows, next)
    }
}

impl PageQuery {
    /// From the query's parameters.
    pub fn new(limit: u8, cursor: Option<Cursor>, sort: Sort) -> Result<Self, Error> {
        let descending = sort == Sort::IdDescending;
        let after = cursor.map(|cursor| cursor.id(descending)).transpose()?;
        Ok(Self { after, descending, limit: limit.into() })
    }

    /// Everything, for a single object.
    pub const fn all() -> Self {
        Self { after: None, descending: false, limit: i64::MAX - 1 }
    }

    /// The first so many.
    pub const fn first(count: i64) -> Self {
        Self { after: None, descending: false, limit: count - 1 }
    }

    /// The last so many, the newest first.
    pub const fn newest(count: i64) -> Self {
        Self { after: None, descending: true, limit: count - 1 }
    }

    /// What the query compares ids with.
    pub fn bound(&self) -> i64 {
        self.after.unwrap_or(if self.descending { i64::MAX } else { 0 })
    }

    /// A list's part and the cursor of the next one.
    pub fn page<T>(&self, rows: Vec<T>, id: impl Fn(&T) -> i64) -> (Vec<T>, Option<String>) {
        self.cut(rows, |row| Key::Id(id(row)))
    }
}

impl PageQuery<String> {
    /// What the query compares names with; no name is empty.
    pub fn bound(&self) -> &str {
        self.after.as_deref().unwrap_or_default()
    }
}

impl NamedPageQuery {
    /// By name, from the query's parameters.
    pub fn by_name(limit: u8, cursor: Option<Cursor>, descending: bool) -> Result<Self, Error> {
        let after = cursor.map(|cursor| cursor.name(descending)).transpose()?;
        Ok(Self::Name(PageQuery { after, descending, limit: limit.into() }))
    }

    /// A list's part and the cursor of the next one.
    pub fn page<T>(&self, rows: Vec<T>, id: impl Fn(&T) -> i64, name: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
        match self {
            Self::Id(window) => window.page(rows, id),
            Self::Name(window) => window.cut(rows, |row| Key::Name(name(row).to_owned())),
        }
    }
}

impl From<PageQuery> for NamedPageQuery {
    fn from(window: PageQuery) -> Self {
        Self::Id(window)
    }
}

fn of_another_order() -> Error {
    Error::Parameters(vec![FieldError::of(
        "query",
        "cursor",
        "is of a page in another order; say the same `sort` again",
    )])
}

/// Fetches a list's window in its order: the text's conditions are completed by one on the key, so that an index gives each
/// page, whatever the order and wherever the page. `$1` and `$2` are the window's.
macro_rules! in_order {
    ($window:expr, $db:expr, $query:ident$(<$row:ty>)?, id $id:literal, $text:literal $(+ $more:literal)? $(, $arg:expr)* $(,)?) => {{
        let window: $crate::http::PageQuery = $window;
        let (bound, fetch) = (window.bound(), window.fetch());
        if window.descending {
            sqlx::$query!(
                $($row,)? $text $(+ $more)? + " and " + $id + " < $1 order by " + $id + " desc limit $2", bound, fetch $(, $arg)*
            )
            .fetch_all($db)
            .await
        } else {
            sqlx::$query!(
                $($row,)? $text $(+ $more)? + " and " + $id + " > $1 order by " + $id + " limit $2", bound, fetch $(, $arg)*
            )
            .fetch_all($db)
            .await
        }
    }};
    ($window:expr, $db:expr, $query:ident$(<$row:ty>)?, id $id:literal, name $name:literal, $text:literal $(, $arg:expr)* $(,)?) => {
        match $window {
            $crate::http::NamedPageQuery::Id(window) => {
                $crate::http::in_order!(*window, $db, $query$(<$row>)?, id $id, $text $(, $arg)*)
            }
            $crate::http::NamedPageQuery::Name(window) if window.descending => {
                sqlx::$query!(
                    $($row,)? $text + " and ($1 = '' or " + $name + " < $1) order by " + $name + " desc limit $2",
                    window.bound(), window.fetch() $(, $arg)*
                )
                .fetch_all($db)
                .await
            }
            $crate::http::NamedPageQuery::Name(window) => {
                sqlx::$query!(
                    $($row,)? $text + " and " + $name + " > $1 order by " + $name + " limit $2",
                    window.bound(), window.fetch() $(, $arg)*
                )
                .fetch_all($db)
                .await
            }
        }
    };
}
pub(crate) use in_order;

/// Where a page begins; made by the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    key: Key,
    descending: bool,
}

/// The last object of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Id(i64),
    Name(String),
}

/// Begins the cursor of a list from its last object to its first.
const DESCENDING: char = '-';
/// Begins a name.
const NAME: char = '~';

super::scalars::scalar!([] Cursor);

impl super::scalars::Scalar for Cursor {
    fn component() -> String {
        "Cursor".into()
    }

    fn schema() -> poem_openapi::registry::MetaSchema {
        super::scalars::string_schema(
            "cursor",
            "^-?([0-9]{1,18}|~[A-Za-z0-9_-]{2,400})$",
            "42",
            "What `next` of the page before says.",
        )
    }

    fn parse(value: &serde_json::Value) -> Result<Self, String> {
        Self::from_text(value.as_str().unwrap_or_default())
    }
}

impl Cursor {
    fn id(self, descending: bool) -> Result<i64, Error> {
        match self.key {
            Key::Id(id) if self.descending == descending => Ok(id),
            _ => Err(of_another_order()),
        }
    }

    fn name(self, descending: bool) -> Result<String, Error> {
        match self.key {
            Key::Name(name) if self.descending == descending => Ok(name),
            _ => Err(of_another_order()),
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let (text, descending) = text.strip_prefix(DESCENDING).map_or((text, false), |text| (text, true));
        let key = text.strip_prefix(NAME).map_or_else(
            || {
                let digits = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse().ok().filter(|_| digits).map(Key::Id)
            },
            |encoded| {
                let name = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()?;
                Some(name).filter(|name| !name.is_empty() && !name.contains('\0')).map(Key::Name)
            },
        );
        key.map(|key| Self { key, descending }).ok_or_else(|| "must be the `next` of a page before".to_owned())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.descending {
            write!(f, "{DESCENDING}")?;
        }
        match &self.key {
            Key::Id(id) => write!(f, "{id}"),
            Key::Name(name) => write!(f, "{NAME}{}", BASE64_URL_SAFE_NO_PAD.encode(name)),
        }
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
        let window = PageQuery { after: None, descending: false, limit: 2 };
        assert_eq!(window.page(vec![4, 7, 9], |id| *id), (vec![4, 7], Some("7".to_owned())));
        assert_eq!(window.page(vec![4, 7], |id| *id), (vec![4, 7], None));
        assert_eq!(window.page(Vec::new(), |id| *id), (Vec::new(), None));
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        for key in [Key::Id(42), Key::Name("e-mail@x".into()), Key::Name("42".into())] {
            for descending in [false, true] {
                let cursor = Cursor { key: key.clone(), descending };
                assert_eq!(Cursor::from_text(&cursor.to_string()), Ok(cursor));
            }
        }
        for text in ["", "-", "--1", "+1", "9999999999999999999", "~", "~!", "~AA", "~_w", "1 "] {
            assert!(Cursor::from_text(text).is_err(), "{text:?}");
        }
    }
}
