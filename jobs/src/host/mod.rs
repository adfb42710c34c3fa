//! A VPN host's WireGuard interfaces: brought to a desired state, checked, and reported.
//!
//! Everything here is level-triggered. Applying a state twice, or an older one after a newer one, leaves
//! the newest. Only what differs is changed, so a customer's tunnel does not notice its neighbours' changes.

mod apply;
mod check;
mod command;
mod compare;
mod error;
mod observe;
mod peers;
mod plan;
mod restore;
mod scrub;
mod state;
mod status;
mod syncconf;

use std::{path::PathBuf, time::Duration};

use command::Commands;
pub use error::HostError;
pub use restore::Restored;

/// How long one call of `ip` or `wg` may take before it is killed.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait for another process that is working on the same interface.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// Who moves the packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Implementation {
    /// The kernel, and nothing else.
    Kernel,
    /// The kernel; `wireguard-go` where the kernel does not know WireGuard.
    WireguardGo,
    /// Nobody: states are saved and counted, no command is called. Names the capability that the machine lacks.
    DryRun(String),
}

/// What to do with a state once it is saved.
#[derive(Debug)]
enum Mode {
    Configure(Commands),
    /// With the missing capability.
    DryRun(String),
}

/// The machine that serves VPN pools.
#[derive(Debug)]
pub struct Host {
    state_dir: PathBuf,
    mode: Mode,
}

impl Host {
    /// A host that keeps its states in `state_dir`, which must exist and belong to the worker's user.
    ///
    /// Fails when `ip`, `wg` or an asked for `wireguard-go` is not installed; a dry run needs none of them.
    pub fn new(state_dir: impl Into<PathBuf>, implementation: Implementation) -> Result<Self, HostError> {
        let mode = match implementation {
            Implementation::Kernel => Mode::Configure(Commands::find(false)?),
            Implementation::WireguardGo => Mode::Configure(Commands::find(true)?),
            Implementation::DryRun(missing) => Mode::DryRun(missing),
        };
        Ok(Self { state_dir: state_dir.into(), mode })
    }

    /// Takes rights from sudo, for a worker that is an unprivileged user without CAP_NET_ADMIN; the rules are in
    /// packaging/sudoers.d. Fails when sudo or its helper is not installed.
    pub fn with_sudo(mut self) -> Result<Self, HostError> {
        if let Mode::Configure(commands) = &mut self.mode {
            commands.use_sudo()?;
        }
        Ok(self)
    }

    /// Changes how long one command may take; [`COMMAND_TIMEOUT`] otherwise.
    #[must_use]
    pub fn with_command_timeout(mut self, timeout: Duration) -> Self {
        if let Mode::Configure(commands) = &mut self.mode {
            commands.timeout = timeout;
        }
        self
    }
}
