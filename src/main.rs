//! The binary `uncloud`.

use std::process::ExitCode;

fn main() -> ExitCode {
    uncloud::cli::run(std::env::args_os().collect())
}
