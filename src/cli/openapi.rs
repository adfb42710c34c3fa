//! The command `uncloud openapi`.

use uncloud_wire::program::print;

/// Prints the document that the server serves.
pub(super) fn run() -> anyhow::Result<()> {
    print(crate::server::document()?)
}
