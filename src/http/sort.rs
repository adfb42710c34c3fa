//! The orders in which lists can be had.

/// How a list is sorted: by id, which is the order in which its objects were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, poem_openapi::Enum)]
pub enum Sort {
    /// The oldest first.
    #[default]
    #[oai(rename = "id:asc")]
    IdAscending,
    /// The newest first.
    #[oai(rename = "id:desc")]
    IdDescending,
}

/// The order of lists of what has happened, when the caller does not say.
pub const fn newest_first() -> Sort {
    Sort::IdDescending
}
