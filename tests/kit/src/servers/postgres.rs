//! PostgreSQL for tests.

use std::{
    ffi::OsString,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uncloud::embedded::find_postgres;
use uncloud_wire::Secret;

use super::{ServerOptions, folder::ServerFolder, watched::Watched};
use crate::{command, programs};

/// The database superuser, and the first database.
const NAME: &str = "uncloud";

/// The usual settings: as those of `uncloud up`, but not durable, which is several times faster.
const SETTINGS: [&str; 11] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=300",
    "shared_buffers=64MB",
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_line_prefix=%m [%p] ",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
];

/// The settings that keep committed data through a crash of the machine, as in production.
const DURABLE: [&str; 3] = ["fsync=on", "synchronous_commit=on", "full_page_writes=on"];

/// The time that a server may take to accept connections after a crash.
const RECOVERY_LIMIT: Duration = Duration::from_secs(30);

/// A PostgreSQL server, reached by a unix socket, with an empty database `uncloud` in it.
///
/// Starting one takes about a second: where a test needs no server of its own, [`PostgresServer::shared`] is faster.
#[derive(Debug)]
pub struct PostgresServer {
    folder: ServerFolder,
    _server: Watched,
}

impl PostgresServer {
    /// Returns the server that all tests of this program share; each uses databases of its own, see
    /// [`PostgresServer::new_database`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a server and waits until it accepts connections.
    pub fn start() -> Self {
        Self::start_with(&ServerOptions::default())
    }

    /// Starts a server that is as durable as in production, with further settings such as `shared_buffers=1GB`.
    pub fn start_durable(settings: &[&str]) -> Self {
        Self::start_with(&ServerOptions::settings(&[&DURABLE, settings].concat()))
    }

    /// Starts a server whose commits survive [`PostgresServer::crash`]; those of the usual one may be lost.
    pub fn start_crash_safe() -> Self {
        Self::start_with(&ServerOptions::settings(&["synchronous_commit=on"]))
    }

    /// Starts a server with options of the test's own.
    pub fn start_with(options: &ServerOptions) -> Self {
        let (initdb, postgres) = find_postgres(None).unwrap_or_else(|error| panic!("{error:#}"));
        let folder = ServerFolder::new();
        let cluster = folder.path.join("data");
        create_cluster(&initdb, &postgres, &folder, &cluster);
        folder.write(options);
        let mut args: Vec<OsString> = vec!["-D".into(), cluster.clone().into()];
        let sockets = format!("unix_socket_directories={}", folder.path.display());
        for setting in SETTINGS.into_iter().chain([sockets.as_str()]) {
            args.extend(["-c".into(), setting.into()]);
        }
        args.extend(folder.args(options).into_iter().map(OsString::from));
        let server = Watched::start(&folder, "QUIT", &postgres, &args, || is_ready(&cluster));
        Self { folder, _server: server }
    }

    /// Returns the folder with its data and its socket.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// Returns the URL of one of its databases; `postgres` and an empty `uncloud` exist from the start.
    pub fn url(&self, database: &str) -> Secret<String> {
        Secret::new(format!("postgres:///{database}?host={}&user={NAME}", self.folder.path.display()))
    }

    /// Creates a database of the given name, empty or as a copy of `template`, and returns its URL. Nobody may be
    /// connected to the template meanwhile.
    pub async fn create_database(&self, name: &str, template: Option<&str>) -> Secret<String> {
        let template = template.unwrap_or("template0");
        for name in [name, template] {
            let valid = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            assert!(valid, "{name:?} is not a valid database name: only letters, digits and underscores are allowed");
        }
        let mut connection = PgConnection::connect(self.url("postgres").expose()).await.expect("PostgreSQL");
        // The names were checked above; identifiers cannot be bound.
        let sql = format!("create database \"{name}\" template \"{template}\" strategy file_copy");
        let created = sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await;
        created.unwrap_or_else(|error| panic!("creating database {name}: {error}"));
        connection.close().await.expect("closed");
        self.url(name)
    }

    /// Creates a database under a name that nobody has, empty or as a copy of `template`, and returns its URL.
    pub async fn new_database(&self, template: Option<&str>) -> Secret<String> {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", CREATED.fetch_add(1, Ordering::Relaxed));
        self.create_database(&name, template).await
    }

    /// Drops a database together with the sessions in it.
    pub async fn drop_database(&self, name: &str) {
        let mut connection = PgConnection::connect(self.url("postgres").expose()).await.expect("PostgreSQL");
        let dropped = sqlx::query(AssertSqlSafe(format!("drop database \"{name}\" with (force)")));
        dropped.execute(&mut connection).await.unwrap_or_else(|error| panic!("dropping database {name}: {error}"));
    }

    /// Opens a session of its own, waiting until the server accepts it, for servers that are being hurt.
    pub async fn session(&self, database: &str) -> PgConnection {
        let url = self.url(database);
        let deadline = Instant::now() + RECOVERY_LIMIT;
        loop {
            match PgConnection::connect(url.expose()).await {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < deadline, "PostgreSQL does not come back: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills one of its processes with SIGKILL, so that it restarts all of them and replays its log, and waits until it
    /// accepts connections again.
    pub async fn crash(&self) {
        let mut victim = self.session("postgres").await;
        let pid = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut victim).await.expect("a process");
        // A session that is opened before the server has noticed is cut like this one.
        let mut witness = self.session("postgres").await;
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
        let deadline = Instant::now() + RECOVERY_LIMIT;
        while sqlx::query("select").execute(&mut witness).await.is_ok() {
            assert!(Instant::now() < deadline, "PostgreSQL does not notice the death of a process");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(self.session("postgres").await); // so that it is over when this returns
    }
}

/// Makes a cluster with the database `uncloud` in it: a copy of one that the first test has prepared beside the programs,
/// since `initdb` takes ten times as long.
fn create_cluster(initdb: &Path, postgres: &Path, folder: &ServerFolder, cluster: &Path) {
    let prepared = prepared_cluster(postgres, folder);
    if !prepared.is_dir() {
        initialize_cluster(initdb, postgres, folder, cluster);
        let unfinished = prepared.with_extension(std::process::id().to_string());
        copy(cluster, &unfinished);
        if fs::rename(&unfinished, &prepared).is_err() {
            // Another test program was faster.
            fs::remove_dir_all(&unfinished).expect("removed");
        }
        return;
    }
    copy(&prepared, cluster);
}

/// Returns the place of the prepared cluster of a version of PostgreSQL and of the user who owns the folder.
fn prepared_cluster(postgres: &Path, folder: &ServerFolder) -> PathBuf {
    let version = command::output(Command::new(postgres).arg("--version"), "");
    let version = String::from_utf8_lossy(&version.stdout).replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let owner = folder.account.as_ref().map_or_else(|| geteuid().as_raw(), |account| account.uid);
    programs::folder().join(format!("cluster_{owner}_{version}"))
}

/// Copies a cluster with its owner, without its blocks where the file system can.
fn copy(from: &Path, to: &Path) {
    command::succeed(Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to), "");
}

/// Makes a cluster with the database `uncloud` in it from nothing.
fn initialize_cluster(initdb: &Path, postgres: &Path, folder: &ServerFolder, cluster: &Path) {
    let run = |program: &Path, args: &[&str], input: &str| {
        let mut command = Command::new(program);
        command.args(args).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir("/");
        if let Some(account) = &folder.account {
            command.uid(account.uid).gid(account.gid);
        }
        let output = command::output(&mut command, input);
        let stderr = String::from_utf8_lossy(&output.stderr);
        // Single-user mode reports a failed statement on stderr and ends with 0 all the same.
        let failed = !output.status.success() || stderr.contains("ERROR:") || stderr.contains("FATAL:");
        assert!(!failed, "{command:?}: {}\n{stderr}", output.status);
    };
    let path = cluster.display().to_string();
    // Trust, because only their user and root can reach the socket at all.
    run(initdb, &["-U", NAME, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D", &path], "");
    run(postgres, &["--single", "-D", &path, "postgres"], &format!("create database {NAME}\n"));
}

fn is_ready(cluster: &Path) -> bool {
    // Its last line is a status, which pg_ctl looks at too.
    let pid_file = fs::read_to_string(cluster.join("postmaster.pid")).unwrap_or_default();
    pid_file.lines().nth(7).is_some_and(|status| status.trim() == "ready")
}
