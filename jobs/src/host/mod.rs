//! The WireGuard interfaces of a VPN host: applied, verified and reported.
//!
//! Everything here is level-triggered. Applying a state twice, or an older one after a newer one, leaves the newest.
//! Only differences are changed, so a customer's tunnel is not affected by its neighbours' changes.

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

pub use command::COMMAND_TIMEOUT;
use command::Commands;
pub use error::HostError;
pub use restore::Restored;

/// The time to wait for another process that is working on the same interface.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// The implementation of WireGuard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Implementation {
    /// The kernel only.
    Kernel,
    /// The kernel, or `wireguard-go` if the kernel does not support WireGuard.
    WireguardGo,
    /// A dry run: states are saved and counted, and no command is called. Contains the capability that the machine
    /// lacks.
    DryRun(String),
}

/// The treatment of a state that is saved.
#[derive(Debug)]
enum Mode {
    Configure(Commands),
    /// A dry run with the missing capability.
    DryRun(String),
}

/// The machine that serves VPN pools.
#[derive(Debug)]
pub struct Host {
    state_dir: PathBuf,
    mode: Mode,
}

impl Host {
    /// Creates a host that keeps its states in `state_dir`, which must exist and belong to the worker's user.
    ///
    /// Fails if `ip`, `wg` or a requested `wireguard-go` is not installed; a dry run needs none of them.
    pub fn new(state_dir: impl Into<PathBuf>, implementation: Implementation) -> Result<Self, HostError> {
        let mode = match implementation {
            Implementation::Kernel => Mode::Configure(Commands::find(false)?),
            Implementation::WireguardGo => Mode::Configure(Commands::find(true)?),
            Implementation::DryRun(missing) => Mode::DryRun(missing),
        };
        Ok(Self { state_dir: state_dir.into(), mode })
    }

    /// Makes the host use sudo, for a worker that is an unprivileged user without CAP_NET_ADMIN; the rules are in
    /// packaging/sudoers.d. Fails if sudo or its helper is not installed.
    pub fn with_sudo(mut self) -> Result<Self, HostError> {
        if let Mode::Configure(commands) = &mut self.mode {
            commands.use_sudo()?;
        }
        Ok(self)
    }

    /// Changes the time limit of a command, which is [`COMMAND_TIMEOUT`] by default.
    #[must_use]
    pub fn with_command_timeout(mut self, timeout: Duration) -> Self {
        if let Mode::Configure(commands) = &mut self.mode {
            commands.timeout = timeout;
        }
        self
    }
}
