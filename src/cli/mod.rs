//! The command line of the program `uncloud`.

mod bill;
mod config;
pub mod defaults;
mod exit;
mod front;
mod inspect;
mod job;
mod ldap;
mod migrate;
mod openapi;
mod output;
mod postgres;
mod queue;
mod schedule;
pub mod serve;
pub mod up;
mod users;
mod vat_rates;
mod vpn;
mod watch;
mod worker;
mod worker_host;

pub use exit::exit_of;
pub use postgres::connect;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueHint};
use uncloud_wire::{
    logging,
    program::{CompletionArgs, Exit, ManArgs, command_with_settings, end, parsed},
};

const EXAMPLES: &str = "\
An option with [env: NAME] can also be set by that variable, or by a line NAME=value in the file of
--config. Options win over variables, and variables over the file. Secrets can be in files of their
own: NAME_FILE names the file, as in DATABASE_URL_FILE.

Examples:
  uncloud up                                              # run everything on this machine
  uncloud vpn --hostname vpn-1.example.ch                 # bring a host's tunnels up to date
  echo secret | uncloud bootstrap-user --username alice   # add a user
  uncloud --config /etc/uncloud/uncloud.env job ls        # use the settings of the service
  uncloud help job ls                                     # explain a command";

/// A hosting provider's backend: VPN networks, orders and bills behind an OpenAPI.
#[derive(Debug, Parser)]
#[command(
    name = "uncloud",
    version,
    propagate_version = true,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", Exit::help())
)]
struct Cli {
    /// File of NAME=value lines with settings; options and environment variables win over it.
    #[arg(long, global = true, env = "UNCLOUD_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Data folder of `uncloud up`; other commands use the database of the one that runs on it, unless another database is
    /// given [default: /var/lib/uncloud as root, else ~/.local/share/uncloud].
    #[arg(long, global = true, env = "UNCLOUD_DATA_DIR", value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: Option<PathBuf>,
    /// Format of the log on stderr.
    #[arg(long, global = true, env = "UNCLOUD_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    log_format: logging::Format,
    /// Least important messages to log; RUST_LOG selects them in more detail where this is omitted [default: info].
    #[arg(long, global = true, ignore_case = true, env = "UNCLOUD_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<logging::Level>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine, from nothing.
    Up(up::UpArgs),
    /// Serve the API and dispatch jobs to the workers.
    Serve(serve::ServeArgs),
    /// Bring the database's schema up to date.
    Migrate(migrate::MigrateArgs),
    /// Migrate, and add what a new installation needs; existing rows stay as they are.
    DbAddDefaults(defaults::DefaultsArgs),
    /// Import VAT rates from a file, or the built-in ones.
    ImportVatRates(vat_rates::ImportVatRatesArgs),
    /// Add a user, or set a user's local password, which comes from stdin.
    BootstrapUser(users::BootstrapArgs),
    /// List, lock and promote users.
    User(users::UserArgs),
    /// Send the full state to all VPN pools of a host, and wait for the result.
    Vpn(vpn::VpnArgs),
    /// Create, read and verify bills.
    Bill(bill::BillArgs),
    /// List, follow, retry and revoke jobs.
    #[command(visible_alias = "jobs")]
    Job(job::JobArgs),
    /// Show what workers and queues are doing.
    Inspect(inspect::InspectArgs),
    /// List, pause, drain and limit queues.
    Queue(queue::QueueArgs),
    /// List and scale workers.
    Worker(worker::WorkerArgs),
    /// List, change and run schedules.
    Schedule(schedule::ScheduleArgs),
    /// Manage the hosts whose workers may log in to Redis.
    WorkerHost(worker_host::WorkerHostArgs),
    /// Print the OpenAPI document.
    #[command(after_help = "Example:\n  uncloud openapi >openapi.json")]
    Openapi,
    /// Print a script that makes a shell complete this command.
    #[command(after_help = "\
Examples:
  source <(uncloud completion bash)                           # for this shell
  uncloud completion bash >/etc/bash_completion.d/uncloud     # for all users
  uncloud completion zsh >/usr/local/share/zsh/site-functions/_uncloud
  uncloud completion fish >~/.config/fish/completions/uncloud.fish")]
    Completion(CompletionArgs),
    /// Write man pages for all commands.
    #[command(after_help = "\
Example:
  uncloud man /usr/local/share/man/man1 && man uncloud-serve")]
    Man(ManArgs),
}

/// Returns the definition of the command line, for completion, man pages and the reference.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command. Errors are for people: one line that says what is wrong and names the next step.
///
/// The runtime is here and not in `main.rs`: what a program awaits is compiled with that program, and not with this
/// library.
#[tokio::main]
pub async fn run(args: Vec<OsString>) -> ExitCode {
    end("uncloud", run_command(args).await, exit_of)
}

async fn run_command(args: Vec<OsString>) -> anyhow::Result<()> {
    let command = command_with_settings(command(), &args)?;
    let matches = parsed(command.try_get_matches_from(args))?;
    if let Some(name) = matches.subcommand_name() {
        postgres::set_program(format!("uncloud {name}"));
    }
    let cli = parsed(Cli::from_arg_matches(&matches))?;
    logging::init(cli.log_format, cli.log_level);
    match cli.command {
        Command::Up(args) => up::up(args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Migrate(args) => migrate::run(args).await,
        Command::DbAddDefaults(args) => defaults::run(args).await,
        Command::ImportVatRates(args) => vat_rates::run(args).await,
        Command::BootstrapUser(args) => users::bootstrap(args).await,
        Command::User(args) => users::run(args).await,
        Command::Vpn(args) => vpn::run(args).await,
        Command::Bill(args) => bill::run(args).await,
        Command::Job(args) => job::run(args).await,
        Command::Inspect(args) => inspect::run(args).await,
        Command::Queue(args) => queue::run(args).await,
        Command::Worker(args) => worker::run(args).await,
        Command::Schedule(args) => schedule::run(args).await,
        Command::WorkerHost(args) => worker_host::run(args).await,
        Command::Openapi => openapi::run(),
        Command::Completion(args) => args.run(self::command()),
        Command::Man(args) => args.run(self::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::command;

    /// Returns all subcommands of a command, with their full names.
    fn all(command: &clap::Command) -> Vec<&clap::Command> {
        let below = command.get_subcommands().filter(|below| below.get_name() != "help").flat_map(all);
        std::iter::once(command).chain(below).collect()
    }

    #[test]
    fn command_definitions_all_have_examples_and_help() {
        let mut command = command();
        command.build();
        for command in all(&command) {
            let name = command.get_bin_name().unwrap_or_default();
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains("Example"), "{name} has no example");
            let long = after.lines().find(|line| line.len() > 100);
            assert_eq!(long, None, "{name}");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{name} {} has no help", argument.get_id());
            }
        }
    }
}
