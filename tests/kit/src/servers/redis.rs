//! Redis for tests.

use std::{
    ffi::OsString,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::unistd::Pid;
use redis::{Client, Connection};
use uncloud::embedded::find_redis;
use uncloud_wire::Secret;

use super::{ServerOptions, folder::ServerFolder, watched::Watched};

/// The time that a command may wait for its reply: longer than tests keep a Redis frozen.
const REPLY_LIMIT: Duration = Duration::from_secs(10);

/// A Redis server, reached by a unix socket. It can be stopped and started again.
#[derive(Debug)]
pub struct RedisServer {
    folder: ServerFolder,
    options: ServerOptions,
    server: Option<Watched>,
}

impl RedisServer {
    /// Starts a server and waits until it replies.
    pub fn start() -> Self {
        Self::start_with(ServerOptions::default())
    }

    /// Starts a server with options of the test's own.
    pub fn start_with(options: ServerOptions) -> Self {
        let mut this = Self { folder: ServerFolder::new(), options, server: None };
        this.launch();
        this
    }

    fn launch(&mut self) {
        let program = find_redis().unwrap_or_else(|error| panic!("{error:#}"));
        self.folder.write(&self.options);
        let socket = self.socket();
        let mut args: Vec<OsString> = vec!["--unixsocket".into(), socket.clone().into(), "--dir".into()];
        args.push(self.folder.path.clone().into());
        let usual = "--port 0 --unixsocketperm 700 --appendonly no --maxmemory-policy noeviction --daemonize no";
        args.extend(usual.split(' ').map(OsString::from));
        args.extend(["--save", "", "--logfile", ""].map(OsString::from));
        args.extend(self.folder.args(&self.options).into_iter().map(OsString::from));
        self.server = Some(Watched::start(&self.folder, "KILL", &program, &args, || replies(&socket)));
    }

    /// Returns the folder with its socket.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    fn socket(&self) -> PathBuf {
        self.folder.path.join("redis.sock")
    }

    /// Returns its URL, which stays the same after [`RedisServer::resume`].
    pub fn url(&self) -> Secret<String> {
        Secret::new(format!("redis+unix://{}", self.socket().display()))
    }

    /// Returns a client of it.
    pub fn client(&self) -> Client {
        Client::open(self.url().expose().as_str()).expect("a URL")
    }

    /// Connects to it.
    pub fn connect(&self) -> Connection {
        self.client().get_connection_with_timeout(REPLY_LIMIT).expect("Redis")
    }

    /// Deletes everything in it.
    pub fn flush(&self) {
        redis::cmd("FLUSHALL").exec(&mut self.connect()).expect("flushed");
    }

    /// Returns the server's process id, for signals.
    pub fn pid(&self) -> Pid {
        let info: String = redis::cmd("INFO").arg("server").query(&mut self.connect()).expect("information");
        let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")).expect("its process id");
        Pid::from_raw(pid.trim().parse().expect("a number"))
    }

    /// Kills it; everything in it is lost.
    pub fn stop(&mut self) {
        drop(self.server.take());
    }

    /// Starts it again, empty, at the same address.
    pub fn resume(&mut self) {
        if self.server.is_none() {
            self.folder.create_again();
            self.launch();
        }
    }
}

/// Returns whether a server replies on the socket.
fn replies(socket: &Path) -> bool {
    let ping = || -> std::io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut reply = [0; 5];
        stream.read_exact(&mut reply)?;
        Ok(&reply == b"+PONG" || &reply == b"-NOAU") // it wants a password, so it is there
    };
    ping().unwrap_or(false)
}
