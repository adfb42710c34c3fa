//! A process, told apart from a later one that got the same number.

use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How often a process that was told to end is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A process id with the time it started: ids are used again, the pair is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process id.
    pub pid: i32,
    /// Clock ticks between boot and its start (`/proc/PID/stat`, field 22).
    pub start_time: u64,
}

impl ProcessId {
    /// The running process `pid`; `None` when there is none (a zombie is none).
    pub fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the command in parentheses and may contain anything, so count from its end.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        if matches!(state, "Z" | "X") {
            return None;
        }
        Some(Self { pid, start_time: fields.nth(18)?.parse().ok()? })
    }

    /// This process.
    pub fn own() -> anyhow::Result<Self> {
        let pid = i32::try_from(std::process::id())?;
        Self::of(pid).ok_or_else(|| anyhow::anyhow!("/proc is not mounted, and uncloud needs it to know its children"))
    }

    /// Whether it still runs.
    pub fn is_running(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends a signal, unless the process is gone.
    pub(super) fn signal(self, signal: Signal) {
        if self.is_running() {
            // It may end between the look and the signal: that is what was wanted.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Kills it with everything it started, as far as that stayed in its process group.
    pub(super) fn kill_group(self) {
        if self.is_running() {
            let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }

    /// Tells it to end, and kills it after `grace`. For processes that are not our children, who can be waited for.
    pub(super) async fn end(self, signal: Signal, grace: Duration) {
        self.signal(signal);
        if !self.gone_within(grace).await {
            tracing::warn!(pid = self.pid, "it did not end in {} s, killing it", grace.as_secs());
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
    fn a_process_is_known_by_id_and_start_time() {
        let own = ProcessId::own().expect("/proc");
        assert!(own.is_running());
        let earlier = ProcessId { start_time: own.start_time - 1, ..own };
        assert!(!earlier.is_running(), "an id that was used again is another process");
    }

    #[test]
    fn a_zombie_does_not_run() {
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
