//! Pagination of lists by a unique key, so that every page costs the same.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult};

use super::Sort;
use crate::error::{Error, FieldError};

/// The requested page of a list: sorted by id, which is the order of creation, or by the key `After`.
#[derive(Debug, Clone, Copy)]
pub struct PageQuery<After = i64> {
    /// The last object of the previous page; `None` for the first page.
    after: Option<After>,
    /// True if the list runs from the last object to the first.
    pub descending: bool,
    /// Maximum number of objects.
    limit: i64,
    /// The id of the only object that is selected; `None` for a list.
    pub only: Option<i64>,
}

/// The requested page of a list that can be sorted by id or by name.
#[derive(Debug, Clone)]
pub enum NamedPageQuery {
    /// Sorted by id.
    Id(PageQuery),
    /// Sorted by name.
    Name(PageQuery<String>),
}

/// Returns the default number of objects on a page.
pub const fn page_size() -> u8 {
    50
}

impl<After> PageQuery<After> {
    /// Returns the number of rows to fetch: one more than requested, which shows whether there is a next page.
    pub const fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// Returns the page and the cursor of the next one. `rows` has one more than the page holds if there are more.
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
    /// Creates the page query from the request's parameters.
    pub fn new(limit: u8, cursor: Option<Cursor>, sort: Sort) -> Result<Self, Error> {
        let descending = sort == Sort::IdDescending;
        let after = cursor.map(|cursor| cursor.id(descending)).transpose()?;
        Ok(Self { after, descending, limit: limit.into(), only: None })
    }

    /// Selects everything.
    pub const fn all() -> Self {
        Self::first(i64::MAX)
    }

    /// Selects one object by its key, however long the list is.
    pub const fn only(id: i64) -> Self {
        Self { only: Some(id), ..Self::first(1) }
    }

    /// Selects the first `count` objects.
    pub const fn first(count: i64) -> Self {
        Self { after: None, descending: false, limit: count - 1, only: None }
    }

    /// Selects the last `count` objects, newest first.
    pub const fn newest(count: i64) -> Self {
        Self { after: None, descending: true, limit: count - 1, only: None }
    }

    /// Returns the id that the query compares with.
    pub fn bound(&self) -> i64 {
        self.after.unwrap_or(if self.descending { i64::MAX } else { 0 })
    }

    /// Returns the page and the cursor of the next one.
    pub fn page<T>(&self, rows: Vec<T>, id: impl Fn(&T) -> i64) -> (Vec<T>, Option<String>) {
        self.cut(rows, |row| Key::Id(id(row)))
    }
}

impl PageQuery<String> {
    /// Returns the name that the query compares with, or an empty string, which is not a name.
    pub fn bound(&self) -> &str {
        self.after.as_deref().unwrap_or_default()
    }
}

impl NamedPageQuery {
    /// Creates a query by name from the request's parameters.
    pub fn by_name(limit: u8, cursor: Option<Cursor>, descending: bool) -> Result<Self, Error> {
        let after = cursor.map(|cursor| cursor.name(descending)).transpose()?;
        Ok(Self::Name(PageQuery { after, descending, limit: limit.into(), only: None }))
    }

    /// Returns the page and the cursor of the next one.
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
        "belongs to a list in another order; repeat the `sort` of the previous page",
    )])
}

/// Fetches a page of a list in its order: adds a condition on the key to those of the text, so that an index finds each
/// page, in either order and at any position, and a single object by its key. `$1` and `$2` are the page's bound and size.
macro_rules! in_order {
    ($window:expr, $db:expr, $query:ident$(<$row:ty>)?, id $id:literal, $text:literal $(+ $more:literal)? $(, $arg:expr)* $(,)?) => {{
        let window: $crate::http::PageQuery = $window;
        let (bound, fetch) = (window.bound(), window.fetch());
        if let Some(id) = window.only {
            sqlx::$query!($($row,)? $text $(+ $more)? + " and " + $id + " = $1 limit $2", id, fetch $(, $arg)*)
                .fetch_all($db)
                .await
        } else if window.descending {
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

/// The start of a page; made by the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    key: Key,
    descending: bool,
}

/// The key of the last object of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Id(i64),
    Name(String),
}

/// Prefix of the cursor in a list from the last object to the first.
const DESCENDING: char = '-';
/// Prefix of a name.
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
            "The `next` of the previous page.",
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
        key.map(|key| Self { key, descending }).ok_or_else(|| "must be the `next` of a previous page".to_owned())
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
    fn page_with_more_rows_returns_cursor_of_its_last_object() {
        let window = PageQuery::first(3);
        assert_eq!(window.page(vec![4, 7, 9], |id| *id), (vec![4, 7], Some("7".to_owned())));
        assert_eq!(window.page(vec![4, 7], |id| *id), (vec![4, 7], None));
        assert_eq!(window.page(Vec::new(), |id| *id), (Vec::new(), None));
    }

    #[test]
    fn cursor_is_parsed_only_in_its_written_form() {
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
