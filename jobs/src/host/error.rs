//! The errors on a host for people, and their classification: final, or worth retrying.

use std::{io, path::PathBuf, time::Duration};

use uncloud_wire::desired::{self, InterfaceName};

/// The reason for which a desired state is not in effect.
///
/// No variant contains a secret: the output of commands is scrubbed before.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The state has a newer version, which this worker might misread.
    #[error(
        "{interface}: the state has version {version}, this worker supports up to {}; update the worker",
        desired::VERSION
    )]
    NewerVersion {
        /// The interface of the state.
        interface: InterfaceName,
        /// The version in the state.
        version: u32,
    },
    /// The state is invalid: no host could apply it.
    #[error("{interface}: the state is invalid and was refused before any change: {reason}")]
    InvalidState {
        /// The interface of the state.
        interface: InterfaceName,
        /// The error in the state.
        reason: String,
    },
    /// A saved state is unreadable.
    #[error("{} is not a saved state: {reason}; apply its pool again (`uncloud vpn`), which replaces the file", path.display())]
    BrokenState {
        /// The file.
        path: PathBuf,
        /// The error in the file, scrubbed.
        reason: String,
    },
    /// A file operation in the state folder failed.
    #[error("cannot {action} {}: {source}; {}", path.display(), hint(source))]
    State {
        /// The operation, as in "cannot read".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another process holds the interface's lock.
    #[error("{interface}: another process has been changing this interface for over {} s; find the process that holds {}", waited.as_secs(), path.display())]
    Locked {
        /// The interface.
        interface: InterfaceName,
        /// The lock file.
        path: PathBuf,
        /// The time that the worker waited for the lock.
        waited: Duration,
    },
    /// A program is not installed.
    #[error("{program} not found in {looked_in}; install {package}")]
    MissingProgram {
        /// The name of the program.
        program: &'static str,
        /// The paths that were searched.
        looked_in: String,
        /// The Debian package of the program.
        package: &'static str,
    },
    /// A program could not be started.
    #[error("cannot run `{command}`: {source}")]
    Start {
        /// The program and its arguments.
        command: String,
        /// The system's error.
        source: io::Error,
    },
    /// A program failed.
    #[error("`{command}` failed ({status}): {stderr}")]
    Command {
        /// The program and its arguments.
        command: String,
        /// The exit status.
        status: String,
        /// The output, scrubbed.
        stderr: String,
    },
    /// A program was terminated because it took too long.
    #[error("`{command}` was stopped after {} s; check whether the machine is overloaded", after.as_secs_f32())]
    TimedOut {
        /// The program and its arguments.
        command: String,
        /// The time limit.
        after: Duration,
    },
    /// A program printed text that this worker can't parse.
    #[error("cannot parse the output of `{command}`: {reason}; check that its version is supported")]
    Output {
        /// The program and its arguments.
        command: String,
        /// The error in the output, scrubbed.
        reason: String,
    },
    /// The kernel does not support WireGuard.
    #[error(
        "{interface}: this kernel does not support WireGuard; load its module (`modprobe wireguard`) or allow \
         the slower `--wireguard-implementation wireguard-go`"
    )]
    NoWireGuard {
        /// The interface that was to be created.
        interface: InterfaceName,
    },
    /// Another process listens on the port.
    #[error(
        "{interface}: UDP port {port} is already in use on this host; stop the process that uses it \
         (`ss -lunp sport = :{port}`) or give the pool another listen port"
    )]
    PortTaken {
        /// The interface.
        interface: InterfaceName,
        /// The configured port.
        port: u16,
    },
    /// Every command succeeded, but the machine is not in the desired state.
    #[error(
        "{interface}: the host still differs after the change: {}; check whether another program configures it",
        without_peers(differences)
    )]
    Mismatch {
        /// The interface.
        interface: InterfaceName,
        /// The differences. Customers read the message, so it does not reveal other customers' peers; the log does.
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

/// Suggests a fix for an unusable state folder.
fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free space on the file system of the state folder (--state-dir), then `uncloud vpn` brings the host up to date"
        }
        _ => "make the state folder writable for the worker's user (--state-dir)",
    }
}

impl HostError {
    /// Returns true if the same state would fail on every retry, until an operator acts.
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

    /// Returns the output of a failed command; empty for every other error.
    pub(super) fn stderr(&self) -> &str {
        if let Self::Command { stderr, .. } = self { stderr } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mismatch_message_hides_peer_keys() {
        let differences =
            ["MTU is 1300 instead of 1420", "peer KEY= is missing", "peer KEY2= has allowed IPs a instead of b"];
        let interface = InterfaceName::for_pool(1);
        let error = HostError::Mismatch { interface, differences: differences.map(str::to_owned).to_vec() }.to_string();
        assert!(error.contains("MTU is 1300 instead of 1420, 2 peers;") && !error.contains("KEY"), "{error}");
    }
}
