//! A private PostgreSQL.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use uncloud_wire::Secret;

use super::{
    Account, Child, ChildSpec, DataDir, Log, ProcessId, Registry, StopPlan,
    instance::write_private,
    programs::{find_postgres, postgres_major},
};

/// The name of the database of `uncloud`, and of its owner.
const DATABASE: &str = "uncloud";

/// A PostgreSQL server that runs as a child of `uncloud up`.
#[derive(Debug)]
pub struct Postgres {
    /// The server's process.
    pub child: Child,
    /// The URL of the database.
    pub url: Secret<String>,
}

impl Postgres {
    /// Starts the server on `DIR/postgres`, which the first start creates, and waits until it accepts connections.
    pub async fn start(
        data_dir: &DataDir,
        sockets: &Path,
        account: Option<&Account>,
        registry: Arc<Registry>,
    ) -> anyhow::Result<Self> {
        let cluster = data_dir.path().join("postgres");
        let account = account.cloned().map(|account| account.or_owner_of(&cluster)).transpose()?;
        if let Some(account) = &account {
            account.ensure_reaches(data_dir.path())?;
        }
        let (initdb, postgres) = programs_for(&cluster)?;
        if !cluster.join("PG_VERSION").exists() {
            tracing::info!(folder = %cluster.display(), "first start: creating the database folder");
            init(&initdb, &postgres, &cluster, account.as_ref())?;
        }
        write_access(&cluster, account.as_ref())?;
        let log = data_dir.log_file("postgres");
        let mut spec = spec(postgres, &cluster, sockets, Log::File(log));
        spec.account = account;
        let child = Child::start_ready(spec, registry, |process| is_ready(&cluster, process)).await?;
        Ok(Self { child, url: url(sockets, DATABASE) })
    }
}

/// Finds the programs that match the data folder; fails if a version that is not installed created it.
pub(super) fn programs_for(cluster: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let made_by = std::fs::read_to_string(cluster.join("PG_VERSION")).ok().and_then(|text| text.trim().parse().ok());
    let (initdb, postgres) = find_postgres(made_by)?;
    if let Some(made_by) = made_by {
        let installed = postgres_major(&postgres)?;
        if installed != made_by {
            bail!(
                "{cluster} was created by PostgreSQL {made_by}, installed is {installed}; install postgresql-{made_by} \
                 beside it, or move the data with pg_upgrade",
                cluster = cluster.display(),
            );
        }
    }
    Ok((initdb, postgres))
}

/// Creates a data folder with the database in it. It gets its final name only when it is complete, so that an
/// interrupted start leaves nothing that the next one would mistake for a database.
fn init(initdb: &Path, postgres: &Path, cluster: &Path, account: Option<&Account>) -> anyhow::Result<()> {
    let new = cluster.with_extension("new");
    match std::fs::remove_dir_all(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error)
                .with_context(|| format!("removing the leftovers of an earlier start in {}", new.display()));
        }
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(&new).with_context(|| format!("creating {}", new.display()))?;
    if let Some(account) = account {
        account.give(&new)?;
    }
    let mut command = Command::new(initdb);
    command.args(["-U", DATABASE, "-A", "peer", "-E", "UTF8", "--locale=C", "-D"]).arg(&new);
    run(command, account, "").context("initdb could not create the database folder")?;
    let mut command = Command::new(postgres);
    command.args(["--single", "-D"]).arg(&new).arg("postgres");
    run(command, account, &format!("create database {DATABASE}\n")).context("creating the database")?;
    std::fs::rename(&new, cluster).with_context(|| format!("renaming the new folder to {}", cluster.display()))
}

/// Writes who may connect: as the kernel tells, the user of this process and that of the server, as the database's owner. Also
/// in a folder of an earlier version, which trusted everybody who reached the socket.
fn write_access(cluster: &Path, account: Option<&Account>) -> anyhow::Result<()> {
    let own = User::from_uid(Uid::effective())?.map(|user| user.name).context("this process' user has no name")?;
    let users: BTreeSet<&str> =
        [own.as_str()].into_iter().chain(account.map(|account| account.name.as_str())).collect();
    let map: String = users.iter().fold(String::new(), |map, user| format!("{map}{DATABASE} \"{user}\" {DATABASE}\n"));
    for (file, text) in [("pg_hba.conf", format!("local all all peer map={DATABASE}\n")), ("pg_ident.conf", map)] {
        let path = cluster.join(file);
        write_private(&path, text.as_bytes())?;
        account.map_or(Ok(()), |account| account.give(&path))?;
    }
    Ok(())
}

/// Runs a program of PostgreSQL until it ends.
fn run(mut command: Command, account: Option<&Account>, input: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(account) = account {
        account.apply(&mut command);
    }
    let mut child = command.spawn().with_context(|| format!("starting {}", command.get_program().display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    // Single-user mode reports a failed statement on stderr, but exits with 0.
    if !output.status.success() || stderr.contains("ERROR:") || stderr.contains("FATAL:") {
        bail!("{}: {}", output.status, stderr.trim());
    }
    Ok(())
}

/// Returns the command and settings of the server.
fn spec(postgres: PathBuf, cluster: &Path, sockets: &Path, log: Log) -> ChildSpec {
    let settings = [
        "listen_addresses=".to_owned(),
        format!("unix_socket_directories={}", sockets.display()),
        "unix_socket_permissions=0700".to_owned(),
        "max_connections=100".to_owned(),
        "shared_buffers=64MB".to_owned(),
        "jit=off".to_owned(), // short queries: compiling them costs more than they do
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "log_line_prefix=%m [%p] ".to_owned(),
    ];
    let mut args: Vec<OsString> = vec!["-D".into(), cluster.into()];
    for setting in settings {
        args.extend(["-c".into(), setting.into()]);
    }
    ChildSpec {
        name: "postgres".to_owned(),
        program: postgres,
        args,
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".into()), ("LC_ALL".to_owned(), "C".into())],
        account: None,
        log,
        // "Fast" shutdown: sessions are cut, the data is closed properly. SIGQUIT leaves the recovery to the next
        // start.
        stop: StopPlan { signal: Signal::SIGINT, hurry: Signal::SIGQUIT, grace: Duration::from_secs(20) },
    }
}

/// Returns true if the server's pid file says that it accepts connections (the criterion of pg_ctl).
fn is_ready(cluster: &Path, process: ProcessId) -> bool {
    let Ok(text) = std::fs::read_to_string(cluster.join("postmaster.pid")) else { return false };
    let mut lines = text.lines();
    lines.next().and_then(|pid| pid.trim().parse().ok()) == Some(process.pid)
        && lines.nth(6).is_some_and(|status| status.trim() == "ready")
}

/// Finds an unrecorded server on this data folder: its working directory is the folder, which no other process uses.
pub(super) fn stray(cluster: &Path) -> Option<ProcessId> {
    let text = std::fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    let process = ProcessId::of(text.lines().next()?.trim().parse().ok()?)?;
    let folder = std::fs::read_link(format!("/proc/{}/cwd", process.pid)).ok()?;
    (folder == cluster).then_some(process)
}

fn url(sockets: &Path, database: &str) -> Secret<String> {
    Secret::new(format!("postgres:///{database}?host={}&user={DATABASE}", sockets.display()))
}
