//! Sort orders of lists.

/// The sort order of a list: by id, which is the order in which its objects were created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, poem_openapi::Enum)]
pub enum Sort {
    /// Oldest first.
    #[default]
    #[oai(rename = "id:asc")]
    IdAscending,
    /// Newest first.
    #[oai(rename = "id:desc")]
    IdDescending,
}

/// Returns the default order of lists of past events.
pub const fn newest_first() -> Sort {
    Sort::IdDescending
}
