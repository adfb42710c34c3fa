//! The binary `uncloud-worker`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    uncloud_jobs::cli::main(std::env::args_os()).await
}
