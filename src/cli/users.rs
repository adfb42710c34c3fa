//! `uncloud bootstrap-user` and `uncloud user`.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};

use super::{
    config::DatabaseArgs,
    output::{Output, Table},
};
use crate::{
    accounts::{self, Change, Listed},
    user::Username,
};
use uncloud_wire::Secret;

/// Shorter ones are guessed.
const MIN_PASSWORD: usize = 8;

/// Options of `bootstrap-user`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  echo 'correct horse' | uncloud bootstrap-user --username nicocustomer")]
pub(super) struct BootstrapArgs {
    /// Whom to prepare.
    #[arg(long)]
    username: Username,
    /// Makes the user staff.
    #[arg(long)]
    staff: bool,
    /// With a directory a user needs no local password: without one on stdin the directory is asked at each login.
    #[arg(long, env = "UNCLOUD_LDAP_URL", value_name = "URL")]
    ldap_url: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn bootstrap(args: BootstrapArgs) -> anyhow::Result<()> {
    let with_directory = args.ldap_url.is_some_and(|url| !url.trim().is_empty());
    let password = read_password(with_directory)?;
    let pool = args.database.connect().await?;
    let user = accounts::bootstrap(&pool, &args.username, args.staff, password.as_ref()).await?;
    tracing::info!(user = user.username, id = user.user_id, staff = user.staff, "user prepared");
    if accounts::find_listed(&pool, &args.username).await?.is_some_and(|listed| listed.locked) {
        tracing::warn!(user = user.username, "locked; `uncloud user unlock {}` lets the user in", user.username);
    }
    Ok(())
}

/// The first line of stdin; asked for, and not shown, on a terminal. Where it is optional nobody is asked, and nothing
/// on stdin is none.
fn read_password(optional: bool) -> anyhow::Result<Option<Secret<String>>> {
    let stdin = std::io::stdin();
    if optional && stdin.is_terminal() {
        return Ok(None);
    }
    let mut line = String::new();
    if stdin.is_terminal() {
        eprint!("Password: ");
        std::io::stderr().flush()?;
        let _hidden = HiddenInput::begin()?;
        stdin.read_line(&mut line)?;
        eprintln!();
    } else {
        stdin.read_line(&mut line).context("can't read the password from stdin")?;
    }
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if optional && password.is_empty() {
        return Ok(None);
    }
    ensure!(
        password.len() >= MIN_PASSWORD,
        "the password on stdin has {} characters; it needs at least {MIN_PASSWORD}",
        password.len()
    );
    Ok(Some(Secret::new(password)))
}

/// Switches the terminal's echo off while it lives.
struct HiddenInput(nix::sys::termios::Termios);

impl HiddenInput {
    fn begin() -> nix::Result<Self> {
        use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        // Nothing to be done if the terminal is gone.
        let _ = nix::sys::termios::tcsetattr(std::io::stdin(), nix::sys::termios::SetArg::TCSANOW, &self.0);
    }
}

/// Options of `user`.
#[derive(Debug, Args)]
pub(super) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// List all users.
    Ls {
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Shut a user out, with all tokens; within a minute.
    #[command(after_help = "Example:\n  uncloud user lock nicocustomer")]
    Lock(WhoArgs),
    /// Let a user in again.
    Unlock(WhoArgs),
    /// Make a user staff.
    Promote(WhoArgs),
    /// Make a user a customer. Who is in the directory's staff group stays staff.
    Demote(WhoArgs),
}

#[derive(Debug, Args)]
struct WhoArgs {
    /// The user's name.
    username: Username,
    #[command(flatten)]
    database: DatabaseArgs,
}

async fn change(who: WhoArgs, change: Change) -> anyhow::Result<()> {
    let pool = who.database.connect().await?;
    let found = async || {
        let listed = accounts::find_listed(&pool, &who.username).await?;
        listed.with_context(|| format!("there is no user {}", who.username))
    };
    accounts::change(&pool, None, found().await?.user.user_id, &change).await?;
    let Listed { user, locked } = found().await?;
    tracing::info!(user = user.username, staff = user.staff, locked, "user changed");
    if change.staff == Some(false) && user.staff {
        tracing::warn!(user = user.username, "still staff: the directory's staff group says so");
    }
    Ok(())
}

pub(super) async fn run(args: UserArgs) -> anyhow::Result<()> {
    match args.command {
        UserCommand::Ls { output, database } => {
            let users = accounts::list(&database.connect().await?).await?;
            let mut table = Table::new(&["id", "username", "staff", "locked", "created_at"]);
            for Listed { user, locked } in users {
                table.row([
                    user.user_id.into(),
                    user.username.into(),
                    user.staff.into(),
                    locked.into(),
                    user.created_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).into(),
                ]);
            }
            table.print(&output)
        }
        UserCommand::Lock(who) => change(who, Change { locked: Some(true), ..Change::default() }).await,
        UserCommand::Unlock(who) => change(who, Change { locked: Some(false), ..Change::default() }).await,
        UserCommand::Promote(who) => change(who, Change { staff: Some(true), ..Change::default() }).await,
        UserCommand::Demote(who) => change(who, Change { staff: Some(false), ..Change::default() }).await,
    }
}
