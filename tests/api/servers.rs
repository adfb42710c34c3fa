//! `uncloud serve` as processes of their own, which can be killed.

use std::{
    fs::File,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::NamedTempFile;
use uncloud::embedded::throwaway::ThrowawayRedis;
use uncloud_wire::Secret;

/// Ended when the value goes.
pub struct Server {
    child: Child,
    log: NamedTempFile,
    pub address: String,
}

impl Server {
    /// Starts it, and waits until it serves.
    pub async fn start(database_url: &Secret<String>, redis: &ThrowawayRedis, options: &[&str]) -> Self {
        let log = NamedTempFile::new().expect("file");
        let stderr = File::options().append(true).open(log.path()).expect("file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_uncloud"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]).args(options).env_clear();
        command.env("DATABASE_URL", database_url.expose()).env("REDIS_URL", redis.url().expose());
        command.env("UNCLOUD_SECRET_KEY", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().expect("uncloud");
        let mut server = Self { child, log, address: String::new() };
        let serving = server.said("serving; try /api/ and /docs").await;
        serving["address"].as_str().expect("text").clone_into(&mut server.address);
        server
    }

    /// What it has logged so far.
    pub fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.log.path()).expect("log");
        // The last line may be half written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for a message, and returns its line.
    pub async fn said(&mut self, message: &str) -> Value {
        let started = Instant::now();
        loop {
            if let Some(line) = self.log().into_iter().find(|line| line["message"] == message) {
                return line;
            }
            let ended = self.child.try_wait().expect("child");
            let late = started.elapsed() > Duration::from_secs(30);
            assert!(ended.is_none() && !late, "it does not say {message:?} ({ended:?}): {:#?}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().expect("a pid")), signal).expect("it runs");
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().expect("child");
    }

    /// Asks it to end, and waits until it has.
    pub async fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        loop {
            match self.child.try_wait().expect("child") {
                Some(status) => return status,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
