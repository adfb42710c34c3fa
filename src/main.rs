//! The binary `uncloud`.

use std::process::ExitCode;

/// Gives the memory of many requests at once back to the system, where glibc keeps it in an arena for each thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    uncloud::cli::run(std::env::args_os().collect())
}
