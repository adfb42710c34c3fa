//! `uncloud openapi`.

use super::program::print;

/// Prints the document that the server serves.
pub(super) fn run() -> anyhow::Result<()> {
    print(crate::http::document()?)
}
