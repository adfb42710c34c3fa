//! The commands `uncloud bootstrap-user` and `uncloud user`.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueHint};
use uncloud_wire::{
    Secret,
    program::{Exit, Failure, say},
};

use super::{
    config::DatabaseArgs,
    output::{Output, Table, time},
};
use crate::{
    accounts::{self, Change, NewPassword, UserBody},
    user::Username,
};

/// Options of `bootstrap-user`.
#[derive(Debug, Args)]
#[command(after_help = "\
The password is the first line of stdin; on a terminal the command prompts for it. An existing user
keeps what is not given.

Examples:
  echo 'correct horse' | uncloud bootstrap-user --username nicocustomer
  uncloud bootstrap-user --username nico --staff")]
pub(super) struct BootstrapArgs {
    /// Name of the user.
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Username)]
    username: Username,
    /// Make the user staff.
    #[arg(long)]
    staff: bool,
    /// URL of the directory (LDAP). With a directory, users need no local password: an empty stdin leaves it out, and the
    /// directory checks the password at each sign-in.
    #[arg(long, env = "UNCLOUD_LDAP_URL", value_name = "URL", value_hint = ValueHint::Url)]
    ldap_url: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn bootstrap(args: BootstrapArgs) -> anyhow::Result<()> {
    let with_directory = args.ldap_url.is_some_and(|url| !url.trim().is_empty());
    let password = read_password(with_directory)?;
    let pool = args.database.connect().await?;
    let user = accounts::bootstrap(&pool, &args.username, args.staff, password.as_ref()).await?;
    tracing::info!(username = user.username, id = user.user_id, staff = user.staff, "user prepared");
    if accounts::find_body(&pool, &args.username).await?.is_some_and(|user| user.locked) {
        tracing::warn!(
            username = user.username,
            "the user is locked; to unlock: `uncloud user unlock {}`",
            user.username
        );
    }
    Ok(())
}

/// Reads the first line of stdin; on a terminal, prompts for it with the echo off. Does not prompt for an optional
/// password, and an empty stdin counts as none.
fn read_password(optional: bool) -> anyhow::Result<Option<NewPassword>> {
    let stdin = std::io::stdin();
    if optional && stdin.is_terminal() {
        return Ok(None);
    }
    let mut line = String::new();
    if stdin.is_terminal() {
        say("Password: ");
        let _hidden = HiddenInput::begin()?;
        stdin.read_line(&mut line)?;
        say("\n");
    } else {
        stdin.read_line(&mut line).context("can't read the password from stdin")?;
    }
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if optional && password.is_empty() {
        return Ok(None);
    }
    let password = NewPassword::new(&Secret::new(password)).map_err(|error| {
        Failure::usage(format!("the password on stdin {error}: echo PASSWORD | uncloud bootstrap-user --username NAME"))
    })?;
    Ok(Some(password))
}

/// Switches the terminal's echo off while the value lives.
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
        // The error is ignored: the terminal may be gone.
        let _ = nix::sys::termios::tcsetattr(std::io::stdin(), nix::sys::termios::SetArg::TCSANOW, &self.0);
    }
}

/// Options of `user`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  uncloud user ls
  uncloud user lock nicocustomer
  uncloud user promote nico")]
pub(super) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// List all users, by name.
    #[command(after_help = "Example:\n  uncloud user ls --output json")]
    Ls {
        #[command(flatten)]
        output: Output,
    },
    /// Show a user.
    #[command(after_help = "Example:\n  uncloud user show nicocustomer")]
    Show {
        #[command(flatten)]
        name: NameArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Lock a user and all tokens of the user, within a minute.
    #[command(after_help = "Example:\n  uncloud user lock nicocustomer")]
    Lock(NameArgs),
    /// Unlock a user.
    #[command(after_help = "Example:\n  uncloud user unlock nicocustomer")]
    Unlock(NameArgs),
    /// Make a user staff.
    #[command(after_help = "Example:\n  uncloud user promote nico")]
    Promote(NameArgs),
    /// Give a user another name, so that somebody else can have this one; the user keeps all else.
    #[command(after_help = "Example:\n  uncloud user rename nico nico-2025")]
    Rename {
        #[command(flatten)]
        name: NameArgs,
        /// The new name.
        #[arg(value_name = "NEW-NAME")]
        new_name: Username,
    },
    /// Accept the directory's present entry of a user: it was created anew for the same person.
    #[command(after_help = "Example:\n  uncloud user relink nico")]
    Relink(NameArgs),
    /// Make a user a customer. Members of the directory's staff group stay staff.
    #[command(after_help = "Example:\n  uncloud user demote nico")]
    Demote(NameArgs),
}

#[derive(Debug, Args)]
struct NameArgs {
    /// Name of the user.
    #[arg(value_name = "NAME", value_hint = ValueHint::Username)]
    username: Username,
}

/// Returns the user of that name, or an error that says how to find one.
pub(super) async fn find(pool: &sqlx::PgPool, name: &Username) -> anyhow::Result<UserBody> {
    let found = accounts::find_body(pool, name).await?;
    found.ok_or_else(|| Failure::not_found(format!("user {name} not found; `uncloud user ls` lists the users")).into())
}

async fn change(pool: &sqlx::PgPool, name: &Username, change: Change) -> anyhow::Result<()> {
    accounts::change(pool, None, find(pool, name).await?.id, &change).await?;
    let user = find(pool, name).await?;
    tracing::info!(username = user.username, staff = user.staff, locked = user.locked, "user changed");
    if change.staff == Some(false) && user.staff {
        tracing::warn!(username = user.username, "the user is still staff, as a member of the directory's staff group");
    }
    Ok(())
}

fn table(users: &[UserBody]) -> Table {
    let mut table = Table::new(&["id", "username", "staff", "locked", "created_at"]);
    for user in users {
        table.row([
            user.id.into(),
            user.username.clone().into(),
            user.staff.into(),
            user.locked.into(),
            time(user.created_at),
        ]);
    }
    table
}

pub(super) async fn run(args: UserArgs) -> anyhow::Result<()> {
    let pool = args.database.connect().await?;
    let locked = |locked| Change { locked: Some(locked), ..Change::default() };
    let staff = |staff| Change { staff: Some(staff), ..Change::default() };
    match args.command {
        UserCommand::Ls { output } => output.list(accounts::list(&pool).await?, table),
        UserCommand::Show { name, output } => {
            output.object(find(&pool, &name.username).await?, |user| table(std::slice::from_ref(user)))
        }
        UserCommand::Lock(user) => change(&pool, &user.username, locked(true)).await,
        UserCommand::Unlock(user) => change(&pool, &user.username, locked(false)).await,
        UserCommand::Rename { name, new_name } => {
            let user = find(&pool, &name.username).await?;
            if !accounts::rename(&pool, user.id, &new_name).await? {
                return Err(Failure::new(Exit::Failed, format!("a user {new_name} exists")).into());
            }
            tracing::info!(username = %new_name, id = user.id, "user renamed");
            Ok(())
        }
        UserCommand::Relink(name) => {
            let user = find(&pool, &name.username).await?;
            accounts::relink(&pool, user.id).await?;
            tracing::info!(username = user.username, "the next login links the user to the directory's entry");
            Ok(())
        }
        UserCommand::Promote(user) => change(&pool, &user.username, staff(true)).await,
        UserCommand::Demote(user) => change(&pool, &user.username, staff(false)).await,
    }
}
