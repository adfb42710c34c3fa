//! The command line: what the binary `uncloud` can be told.

mod bill;
mod config;
pub mod defaults;
mod front;
mod inspect;
mod jobs;
mod ldap;
mod migrate;
mod openapi;
mod output;
mod queue;
mod schedule;
pub mod serve;
pub mod up;
mod usage;
mod users;
mod vat_rates;
mod vpn;
mod worker_host;

pub use config::{connect, secret_or_file};
pub use usage::parsed;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// A hosting provider's backend: VPN networks, orders and bills behind an OpenAPI.
#[derive(Debug, Parser)]
#[command(
    name = "uncloud",
    version,
    propagate_version = true,
    after_help = "\
What an option's help names as [env: …] can also be set there, or in a file of NAME=value lines (--config). \
Secrets can be kept in files of their own: DATABASE_URL_FILE, REDIS_URL_FILE, UNCLOUD_SECRET_KEY_FILE, \
UNCLOUD_LDAP_BIND_PASSWORD_FILE.

Examples:
  uncloud up                                   everything on this machine, from nothing
  uncloud vpn --hostname vpn-1.example.ch      bring a host's tunnels to the desired state
  echo secret | uncloud bootstrap-user --username alice"
)]
struct Cli {
    /// File of NAME=value lines; the environment and options win over it.
    #[arg(long, global = true, env = "UNCLOUD_CONFIG", value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    /// How logs are written to stderr; RUST_LOG says how much (info by default).
    #[arg(long, global = true, env = "UNCLOUD_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    log_format: uncloud_wire::logging::Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine, from nothing.
    Up(up::UpArgs),
    /// Serve the API, and dispatch jobs to the workers.
    Serve(serve::ServeArgs),
    /// Bring the database's schema up to date.
    Migrate(migrate::MigrateArgs),
    /// Add what a new installation needs; never changes what is there.
    DbAddDefaults(defaults::DefaultsArgs),
    /// Import VAT rates from a file, or those that are built in.
    ImportVatRates(vat_rates::ImportVatRatesArgs),
    /// Prepare a user as at first login; a local password comes from stdin.
    BootstrapUser(users::BootstrapArgs),
    /// Users.
    User(users::UserArgs),
    /// Send the full state to all VPN pools of a host, and wait for the result.
    Vpn(vpn::VpnArgs),
    /// Bills: make, read and check them.
    Bill(bill::BillArgs),
    /// Jobs: what became of them, and what is to become of them.
    Jobs(jobs::JobsArgs),
    /// What the workers are at.
    Inspect(inspect::InspectArgs),
    /// Pause, drain or limit queues.
    Queue(queue::QueueArgs),
    /// Steer workers.
    Worker(queue::WorkerArgs),
    /// What is done again and again.
    Schedule(schedule::ScheduleArgs),
    /// Which hosts' workers may log in to Redis.
    WorkerHost(worker_host::WorkerHostArgs),
    /// Print the OpenAPI document.
    Openapi,
}

/// Runs what the command line says. Errors are for people: one line, what is wrong and how to mend it.
pub async fn run() -> anyhow::Result<()> {
    let cli = parse(std::env::args_os().collect())?;
    uncloud_wire::logging::init(cli.log_format);
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
        Command::Jobs(args) => jobs::run(args).await,
        Command::Inspect(args) => inspect::run(args).await,
        Command::Queue(args) => queue::run(args).await,
        Command::Worker(args) => queue::run_worker(args).await,
        Command::Schedule(args) => schedule::run(args).await,
        Command::WorkerHost(args) => worker_host::run(args).await,
        Command::Openapi => openapi::run(),
    }
}

/// Twice: the first pass only looks for `--config`, whose values then become defaults.
fn parse(args: Vec<std::ffi::OsString>) -> anyhow::Result<Cli> {
    let command = match config::named_file(&args) {
        Some(file) => config::with_file(Cli::command(), &file)?,
        None => Cli::command(),
    };
    usage::parsed(command.try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches)))
}
