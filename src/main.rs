//! STUB for this branch: only `up`. The lead's main.rs takes its place.

use clap::Parser;

#[derive(Parser)]
enum Command {
    Up(uncloud::cli::up::UpArgs),
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let Command::Up(args) = Command::parse();
    match uncloud::cli::up::up(args).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("uncloud: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
