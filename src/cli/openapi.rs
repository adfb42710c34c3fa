//! `uncloud openapi`.

/// Prints the document that the server serves.
#[expect(clippy::print_stdout, reason = "this is the command's output")]
pub(super) fn run() -> anyhow::Result<()> {
    print!("{}", crate::server::document()?);
    Ok(())
}
