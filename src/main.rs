//! The binary `uncloud`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match uncloud::cli::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("uncloud: {}", uncloud_wire::logging::one_line(&error));
            ExitCode::FAILURE
        }
    }
}
