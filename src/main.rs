//! The binary `uncloud`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    uncloud::cli::main(std::env::args_os()).await
}
