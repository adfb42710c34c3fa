//! Sort orders of lists whose objects have unique names.

/// Declares the [`Sort`](super::Sort) of a list whose objects also have unique names; the words are those for the two
/// orders by name.
macro_rules! named_sort {
    ($(#[$about:meta])* $sort:ident, $ascending:tt, $descending:tt) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, poem_openapi::Enum)]
        pub(super) enum $sort {
            /// Oldest first.
            #[default]
            #[oai(rename = "id:asc")]
            IdAscending,
            /// Newest first.
            #[oai(rename = "id:desc")]
            IdDescending,
            /// From a to z.
            #[oai(rename = $ascending)]
            NameAscending,
            /// From z to a.
            #[oai(rename = $descending)]
            NameDescending,
        }

        impl $sort {
            pub(super) fn window(
                self,
                limit: u8,
                cursor: Option<$crate::http::Cursor>,
            ) -> Result<$crate::http::NamedPageQuery, $crate::error::Error> {
                use $crate::http::{NamedPageQuery, Sort, PageQuery};
                match self {
                    Self::IdAscending => Ok(PageQuery::new(limit, cursor, Sort::IdAscending)?.into()),
                    Self::IdDescending => Ok(PageQuery::new(limit, cursor, Sort::IdDescending)?.into()),
                    Self::NameAscending => NamedPageQuery::by_name(limit, cursor, false),
                    Self::NameDescending => NamedPageQuery::by_name(limit, cursor, true),
                }
            }
        }
    };
}
pub(crate) use named_sort;
