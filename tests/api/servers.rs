//! `uncloud serve` as processes of their own, which can be killed.

use std::{
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::Value;
use uncloud_testkit::{command::clear_env, fixtures::SECRET_KEY, process::Process, programs, servers::RedisServer};
use uncloud_wire::Secret;

/// Ended when the value goes.
pub struct Server {
    process: Process,
    pub address: String,
}

impl Server {
    /// Starts it, and waits until it serves.
    pub async fn start(database_url: &Secret<String>, redis: &RedisServer, options: &[&str]) -> Self {
        let mut command = Command::new(programs::uncloud());
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]).args(options);
        clear_env(&mut command).env("DATABASE_URL", database_url.expose()).env("REDIS_URL", redis.url().expose());
        let process = Process::start("uncloud serve", command.env("UNCLOUD_SECRET_KEY", SECRET_KEY));
        let mut server = Self { process, address: String::new() };
        let serving = server.said("serving; try /api/ and /docs").await;
        serving["address"].as_str().expect("text").clone_into(&mut server.address);
        server
    }

    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Returns its log so far.
    pub fn log(&self) -> Vec<Value> {
        // The last line may be half written.
        self.process.stderr().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for a message, and returns its line.
    pub async fn said(&mut self, message: &str) -> Value {
        let started = Instant::now();
        loop {
            if let Some(line) = self.log().into_iter().find(|line| line["message"] == message) {
                return line;
            }
            let (ended, late) = (self.process.has_ended(), started.elapsed() > Duration::from_secs(30));
            assert!(!ended && !late, "it does not say {message:?}: {:#?}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// `kill -9`.
    pub fn kill(self) {
        self.process.kill();
    }

    /// Asks it to end, and waits until it has.
    pub async fn terminate(mut self) -> ExitStatus {
        self.process.signal(Signal::SIGTERM);
        while !self.process.has_ended() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.process.wait()
    }
}
