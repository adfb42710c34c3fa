//! The binary `uncloud-worker`.

use std::process::ExitCode;

fn main() -> ExitCode {
    uncloud_jobs::cli::run(std::env::args_os().collect())
}
