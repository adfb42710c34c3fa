//! What can go wrong on a host, told to a person; and whether trying again can help.

use std::{io, path::PathBuf, time::Duration};

use uncloud_wire::desired::{self, InterfaceName};

/// Why a desired state is not in effect.
///
/// No variant carries a secret: what the commands print is scrubbed before it gets here.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// This worker might misread the state.
    #[error(
        "{interface}: the state has version {version}, this worker understands up to {}; update the worker",
        desired::VERSION
    )]
    NewerVersion {
        /// Whose state.
        interface: InterfaceName,
        /// The version that it claims.
        version: u32,
    },
    /// No host could realise the state.
    #[error("{interface}: the state makes no sense and was refused before anything was changed: {reason}")]
    InvalidState {
        /// Whose state.
        interface: InterfaceName,
        /// What is wrong in it.
        reason: String,
    },
    /// A saved state cannot be read back.
    #[error("{} is not a saved state: {reason}; apply its pool again (`uncloud vpn`), which replaces the file", path.display())]
    BrokenState {
        /// The file.
        path: PathBuf,
        /// What is wrong in it, scrubbed.
        reason: String,
    },
    /// A file operation in the state folder failed.
    #[error("cannot {action} {}: {source}; {}", path.display(), advice(source))]
    State {
        /// As in "cannot read".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process holds the interface's lock.
    #[error("{interface}: another process has been changing this interface for over {} s; see who holds {}", waited.as_secs(), path.display())]
    Locked {
        /// The interface.
        interface: InterfaceName,
        /// The lock file.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A program is not installed.
    #[error("{program} is in none of {looked_in}; install {package}")]
    MissingProgram {
        /// Its name.
        program: &'static str,
        /// Where it was looked for.
        looked_in: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A program could not be started.
    #[error("cannot run `{command}`: {source}")]
    Start {
        /// Program and arguments.
        command: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A program failed.
    #[error("`{command}` failed ({status}): {stderr}")]
    Command {
        /// Program and arguments.
        command: String,
        /// How it ended.
        status: String,
        /// What it said, scrubbed.
        stderr: String,
    },
    /// A program was killed because it took too long.
    #[error("`{command}` was stopped after {} s without an end; see whether the machine is overloaded", after.as_secs_f32())]
    TimedOut {
        /// Program and arguments.
        command: String,
        /// Its time limit.
        after: Duration,
    },
    /// A program said something that this worker cannot read.
    #[error("cannot read what `{command}` printed: {reason}; is its version supported?")]
    Output {
        /// Program and arguments.
        command: String,
        /// What is wrong in it, scrubbed.
        reason: String,
    },
    /// The kernel does not know WireGuard.
    #[error(
        "{interface}: this kernel has no WireGuard; load its module (`modprobe wireguard`) or allow the slower \
         `--wireguard-implementation wireguard-go`"
    )]
    NoWireGuard {
        /// The interface that was to be made.
        interface: InterfaceName,
    },
    /// Somebody else listens on the port.
    #[error(
        "{interface}: UDP port {port} is already in use on this host; stop what uses it (`ss -lunp sport = :{port}`) \
         or give the pool another listen port"
    )]
    PortTaken {
        /// The interface.
        interface: InterfaceName,
        /// The port that it shall have.
        port: u16,
    },
    /// Every command succeeded, and yet the machine is not as asked for.
    #[error(
        "{interface}: after the change the host still differs: {}; is another program configuring it?",
        without_peers(differences)
    )]
    Mismatch {
        /// The interface.
        interface: InterfaceName,
        /// What differs. Customers read the message, so it does not tell them of each other's peers; the log does.
        differences: Vec<String>,
    },
    /// The worker is shutting down.
    #[error("the work was interrupted")]
    Interrupted,
}

fn without_peers(differences: &[String]) -> String {
    let (peers, others): (Vec<&str>, Vec<&str>) =
        differences.iter().map(String::as_str).partition(|difference| difference.starts_with("peer "));
    let peers = match peers.len() {
        0 => None,
        1 => Some("a peer".to_owned()),
        count => Some(format!("{count} peers")),
    };
    others.into_iter().map(str::to_owned).chain(peers).collect::<Vec<_>>().join(", ")
}

/// What a person can do when the state folder can't be worked with.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on the file system of the state folder (--state-dir), then `uncloud vpn` brings the host up to date"
        }
        _ => "the worker's user needs a writable state folder (--state-dir)",
    }
}

impl HostError {
    /// True when the same state fails again however often it is tried; somebody has to act first.
    pub fn is_final(&self) -> bool {
        match self {
            Self::NewerVersion { .. } | Self::InvalidState { .. } | Self::BrokenState { .. } => true,
            Self::State { .. }
            | Self::Locked { .. }
            | Self::MissingProgram { .. }
            | Self::Start { .. }
            | Self::Command { .. }
            | Self::TimedOut { .. }
            | Self::Output { .. }
            | Self::NoWireGuard { .. }
            | Self::PortTaken { .. }
            | Self::Mismatch { .. }
            | Self::Interrupted => false,
        }
    }

    /// What a failed command said; empty for every other error.
    pub(super) fn stderr(&self) -> &str {
        if let Self::Command { stderr, .. } = self { stderr } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_do_not_read_of_each_others_peers() {
        let differences =
            ["MTU is 1300 instead of 1420", "peer KEY= is missing", "peer KEY2= has allowed IPs a instead of b"];
        let interface = InterfaceName::for_pool(1);
        let error = HostError::Mismatch { interface, differences: differences.map(str::to_owned).to_vec() }.to_string();
        assert!(error.contains("MTU is 1300 instead of 1420, 2 peers;") && !error.contains("KEY"), "{error}");
    }
}
