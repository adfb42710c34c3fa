//! Servers for tests: in `/tmp`, without a data folder, gone when the test process is.
//!
//! A test process may be killed at any moment (Ctrl-C, a timeout, kill -9), and statics are never dropped. So a small shell
//! stands between it and the server, holding the reading end of a pipe whose writing end only the test process has: when the
//! kernel closes that, for whatever reason, the shell ends the server and removes the folder. (`setpriv --pdeathsig` would
//! not do: it fires when the *thread* that spawned ends, and each test has a thread of its own.)

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use ring::rand::{SecureRandom as _, SystemRandom};
use sqlx::{Connection as _, PgConnection};
use uncloud_wire::Secret;

use super::{
    Account, ChildSpec, Durability, Log, ProcessId, Programs, RuntimeDir, START_DEADLINE, log_tail, postgres, redis,
    runtime,
};

/// $1: folder to remove, or empty; $2: signal that ends the server; then the server's command line.
const WATCHDOG: &str = r#"
folder=$1 signal=$2; shift 2
exec 3<&0 </dev/null
"$@" 3<&- & server=$!
{ read -r _ <&3; kill -s "$signal" "$server"; } & watch=$!
exec 3<&-
wait "$server"; status=$?
kill "$watch" 2>/dev/null
[ -z "$folder" ] || rm -rf "$folder"
exit "$status"
"#;

/// Where the ports for servers begin, and how many there are: below those that the system gives to whoever names none (ip(7):
/// from 32768 on), or one of these would be somebody else's before its server is up.
const PORTS: (u16, u16) = (10_000, 20_000);

/// A port for a server that can't choose one itself, free on both loopback addresses and not given before by this process.
pub fn free_port() -> anyhow::Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let (first, count) = PORTS;
    // Processes at the same time have numbers close to each other; each begins at a place of its own.
    let next = || process::id().wrapping_mul(64).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % u32::from(count);
    let is_free = |port: &u16| {
        let taken =
            |address| TcpListener::bind((address, *port)).is_err_and(|error| error.kind() == ErrorKind::AddrInUse);
        !taken("127.0.0.1") && !taken("::1")
    };
    let mut ports = (0..count).filter_map(|_| Some(first + u16::try_from(next()).ok()?));
    ports.find(is_free).context("no port is free")
}

/// A server, and the shell that ends it.
#[derive(Debug)]
struct Watched {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Watched {
    fn start(spec: &ChildSpec, folder: Option<&Path>, signal: &str, ready: impl Fn() -> bool) -> anyhow::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WATCHDOG, "sh"]).arg(folder.unwrap_or(Path::new(""))).arg(signal);
        command.arg(&spec.program).args(&spec.args).env_clear();
        command.envs(spec.env.iter().map(|(name, value)| (name, value)));
        // Not in our process group: Ctrl-C would end the shell before it has cleaned up.
        command.stdin(Stdio::piped()).current_dir("/").process_group(0);
        let Log::File(log_path) = &spec.log else { bail!("a throwaway server logs to a file") };
        let log = std::fs::File::create(log_path)?;
        command.stderr(log.try_clone()?).stdout(log);
        if let Some(account) = &spec.account {
            account.apply(&mut command);
        }
        let mut shell = command.spawn().context("starting /bin/sh")?;
        let pipe = shell.stdin.take();
        let mut watched = Self { shell, pipe };
        let deadline = Instant::now() + START_DEADLINE;
        while !ready() {
            // The folder goes with the shell, so the log has to be read first.
            let tail = log_tail(log_path);
            if watched.shell.try_wait()?.is_some() || Instant::now() >= deadline {
                bail!("{} does not start; {tail}", spec.name);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(watched)
    }

    fn stop(&mut self) {
        drop(self.pipe.take());
        let _ = self.shell.wait();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A new folder in `/tmp` that the server may use, and who the server runs as.
fn new_folder() -> anyhow::Result<(PathBuf, Option<Account>)> {
    let account = Account::choose(None)?;
    let mut random = [0; 6];
    SystemRandom::new().fill(&mut random).map_err(|_| anyhow::anyhow!("the system has no randomness"))?;
    let path = PathBuf::from(format!("/tmp/uncloud-test-{}", runtime::hex(&random)));
    let folder = RuntimeDir::create_at(path, account.as_ref())?;
    Ok((folder.path().to_owned(), account))
}

/// What a test's server has beyond the usual: certificates, access rules, a port.
#[derive(Debug, Clone, Default)]
pub struct Extra {
    /// Files in the server's folder, which only it may read.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// More arguments for the server; `{DIR}` in them is its folder.
    pub args: Vec<String>,
}

impl Extra {
    fn write(&self, folder: &Path, account: Option<&Account>) -> anyhow::Result<()> {
        use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
        for (name, content) in &self.files {
            let path = folder.join(name);
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(content)?;
            account.map_or(Ok(()), |account| account.give(&path))?;
        }
        Ok(())
    }

    fn add_args(&self, spec: &mut ChildSpec, folder: &Path) {
        let folder = folder.display().to_string();
        spec.args.extend(self.args.iter().map(|arg| arg.replace("{DIR}", &folder).into()));
    }
}

/// A PostgreSQL for one test process: not durable, `max_connections` 300. Takes about a second to start, so keep one in a
/// static and give each test a database of its own:
///
/// ```no_run
/// # use std::sync::OnceLock; use uncloud::embedded::throwaway::ThrowawayPostgres;
/// static SERVER: OnceLock<ThrowawayPostgres> = OnceLock::new();
/// let server = SERVER.get_or_init(|| ThrowawayPostgres::start().expect("PostgreSQL"));
/// # let _ = server;
/// ```
#[derive(Debug)]
pub struct ThrowawayPostgres {
    folder: PathBuf,
    _server: Watched,
}

impl ThrowawayPostgres {
    /// Makes a data folder and starts a server on it; blocks until it takes connections.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&Extra::default())
    }

    /// The same with settings of the test's own.
    pub fn start_with(extra: &Extra) -> anyhow::Result<Self> {
        let programs = Programs::find()?;
        let (folder, account) = new_folder()?;
        let cluster = folder.join("data");
        let start = || {
            postgres::init(&programs.initdb, &programs.postgres, &cluster, account.as_ref(), Durability::None)?;
            extra.write(&folder, account.as_ref())?;
            let log = Log::File(folder.join("log"));
            let mut spec = postgres::spec(programs.postgres.clone(), &cluster, &folder, Durability::None, log);
            extra.add_args(&mut spec, &folder);
            spec.account.clone_from(&account);
            Watched::start(&spec, Some(&folder), "QUIT", || {
                // The pid is the server's, whose shell is ours; any server on this folder is the one.
                postgres::stray(&cluster).is_some_and(|process: ProcessId| postgres::is_ready(&cluster, process))
            })
        };
        match start() {
            Ok(server) => Ok(Self { folder: folder.clone(), _server: server }),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    #[cfg(test)]
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// How to reach one of its databases; there are `postgres` and an empty `uncloud` from the start.
    pub fn url(&self, database: &str) -> Secret<String> {
        postgres::url(&self.folder, database)
    }

    /// Creates a database, empty or as a copy of `template` (to which nobody may be connected then), and tells its URL.
    /// The name is letters, digits and underscores.
    pub async fn create_database(&self, name: &str, template: Option<&str>) -> anyhow::Result<Secret<String>> {
        let template = template.unwrap_or("template0");
        for name in [name, template] {
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                bail!("{name:?} is no name for a test database");
            }
        }
        let mut connection = PgConnection::connect(self.url("postgres").expose()).await?;
        // The names were checked above; identifiers cannot be bound.
        let statement = sqlx::AssertSqlSafe(format!("create database \"{name}\" template \"{template}\""));
        sqlx::query(statement).execute(&mut connection).await.with_context(|| format!("creating database {name}"))?;
        connection.close().await?;
        Ok(self.url(name))
    }
}

/// A Redis for tests, which can be stopped and started again to see what happens then.
#[derive(Debug)]
pub struct ThrowawayRedis {
    folder: PathBuf,
    spec: ChildSpec,
    extra: Extra,
    server: Option<Watched>,
}

impl ThrowawayRedis {
    /// Starts a server; blocks until it answers.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(Extra::default())
    }

    /// The same with settings of the test's own.
    pub fn start_with(extra: Extra) -> anyhow::Result<Self> {
        let program = Programs::find()?.redis_server;
        let (folder, account) = new_folder()?;
        let mut spec = redis::spec(program, &folder, Log::File(folder.join("log")));
        spec.account = account;
        extra.add_args(&mut spec, &folder);
        extra.write(&folder, spec.account.as_ref())?;
        let mut this = Self { folder, spec, extra, server: None };
        this.resume()?;
        Ok(this)
    }

    #[cfg(test)]
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// How to reach it, also after a restart.
    pub fn url(&self) -> Secret<String> {
        redis::url(&self.folder)
    }

    /// Ends it; everything in it is lost, as in a crash.
    pub fn stop(&mut self) {
        drop(self.server.take());
    }

    /// Starts it again, empty, at the same address.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        if self.server.is_none() {
            let socket = redis::socket(&self.folder);
            if !self.folder.exists() {
                RuntimeDir::create_at(self.folder.clone(), self.spec.account.as_ref())?;
                self.extra.write(&self.folder, self.spec.account.as_ref())?;
            }
            self.server = Some(Watched::start(&self.spec, Some(&self.folder), "KILL", || redis::answers(&socket))?);
        }
        Ok(())
    }
}
