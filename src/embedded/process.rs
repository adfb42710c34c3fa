//! A process, distinguished from a later process with the same id.

use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The interval at which a process that was signalled to end is checked.
const POLL: Duration = Duration::from_millis(20);

/// A process id with the process's start time: ids are reused, the pair is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process id.
    pub pid: i32,
    /// The clock ticks between boot and the start of the process (`/proc/PID/stat`, field 22).
    pub start_time: u64,
}

impl ProcessId {
    /// Returns the running process `pid`; `None` if there is none (zombies do not count).
    pub fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the command in parentheses and may contain anything, so count from the last
        // parenthesis.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        if matches!(state, "Z" | "X") {
            return None;
        }
        Some(Self { pid, start_time: fields.nth(18)?.parse().ok()? })
    }

    /// Returns the process of the caller.
    pub fn own() -> anyhow::Result<Self> {
        let pid = i32::try_from(std::process::id())?;
        Self::of(pid)
            .ok_or_else(|| anyhow::anyhow!("/proc is not mounted; uncloud needs it to identify its child processes"))
    }

    /// Returns true while the process runs.
    pub fn is_running(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends a signal, unless the process has ended.
    pub(super) fn signal(self, signal: Signal) {
        if self.is_running() {
            // The process may end between the check and the signal, which is the intended result.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Kills the process and its descendants that stayed in its process group.
    pub(super) fn kill_group(self) {
        if self.is_running() {
            let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }

    /// Signals the process to end, and kills it after `grace`. For processes that are not children of this one, which
    /// it could wait for.
    pub(super) async fn end(self, signal: Signal, grace: Duration) {
        self.signal(signal);
        if !self.gone_within(grace).await {
            tracing::warn!(pid = self.pid, "did not end within {} s, killing it", grace.as_secs());
            self.kill_group();
            self.gone_within(grace).await;
        }
    }

    async fn gone_within(self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_running() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::ProcessId;

    #[test]
    fn is_running_with_another_start_time_is_false() {
        let own = ProcessId::own().expect("/proc");
        assert!(own.is_running());
        let earlier = ProcessId { start_time: own.start_time - 1, ..own };
        assert!(!earlier.is_running(), "a reused id is another process");
    }

    #[test]
    fn is_running_of_a_zombie_is_false() {
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let pid = i32::try_from(child.id()).expect("pid");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while ProcessId::of(pid).is_some() {
            assert!(std::time::Instant::now() < deadline, "`true` did not end");
            std::thread::yield_now();
        }
        child.wait().expect("wait");
    }
}
