//! A private Redis. It stores nothing on disk: PostgreSQL is the source of truth, and the relay sends the jobs in
//! Redis again.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use uncloud_wire::Secret;

use super::{Account, Child, ChildSpec, DataDir, Log, Registry, StopPlan, programs::find_redis};

/// A Redis server that runs as a child of `uncloud up`.
#[derive(Debug)]
pub struct Redis {
    /// The server's process.
    pub child: Child,
    /// The URL of its Unix socket, which is also reachable from another network namespace.
    pub url: Secret<String>,
}

impl Redis {
    /// Starts the server and waits until it accepts connections.
    pub async fn start(
        data_dir: &DataDir,
        sockets: &Path,
        account: Option<&Account>,
        registry: Arc<Registry>,
    ) -> anyhow::Result<Self> {
        let mut spec = spec(find_redis()?, sockets, Log::File(data_dir.log_file("redis")));
        spec.account = account.cloned();
        let socket = socket(sockets);
        let child = Child::start_ready(spec, registry, |_| responds(&socket)).await?;
        Ok(Self { child, url: url(sockets) })
    }
}

/// Returns the command and settings of the server.
fn spec(redis_server: PathBuf, sockets: &Path, log: Log) -> ChildSpec {
    let socket = socket(sockets);
    let settings: [(&str, &Path); 9] = [
        ("--port", Path::new("0")),
        ("--unixsocket", &socket),
        ("--unixsocketperm", Path::new("700")),
        ("--save", Path::new("")),
        ("--appendonly", Path::new("no")),
        // When the memory is full, commands fail and are retried; evicting would silently lose jobs.
        ("--maxmemory-policy", Path::new("noeviction")),
        ("--dir", sockets),
        ("--daemonize", Path::new("no")),
        ("--logfile", Path::new("")),
    ];
    let args = settings.iter().flat_map(|(name, value)| [OsString::from(name), value.into()]).collect();
    ChildSpec {
        name: "redis".to_owned(),
        program: redis_server,
        args,
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".into())],
        account: None,
        log,
        stop: StopPlan { signal: Signal::SIGTERM, hurry: Signal::SIGKILL, grace: Duration::from_secs(5) },
    }
}

/// Returns true if a server accepts connections on the socket.
fn responds(socket: &Path) -> bool {
    let ping = || -> std::io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut response = [0; 5];
        stream.read_exact(&mut response)?;
        Ok(&response == b"+PONG")
    };
    ping().unwrap_or(false)
}

fn socket(sockets: &Path) -> PathBuf {
    sockets.join("redis.sock")
}

fn url(sockets: &Path) -> Secret<String> {
    Secret::new(format!("redis+unix://{}", socket(sockets).display()))
}
