//! The restoration of all interfaces after a reboot, from the saved states, without the control plane.

use uncloud_wire::desired::{ApplyReport, InterfaceName};

use super::{
    Host, HostError,
    state::{self, StateFile},
};

/// The result of restoring one saved state.
#[derive(Debug)]
pub struct Restored {
    /// The interface of the state.
    pub interface: InterfaceName,
    /// The result of [`Host::apply`].
    pub outcome: Result<ApplyReport, HostError>,
}

impl Host {
    /// Applies every saved state again, each on its own: one that fails does not stop the others.
    ///
    /// Fails itself only if the state folder can't be listed.
    pub async fn restore(&self) -> Result<Vec<Restored>, HostError> {
        let mut restored = Vec::new();
        for file in state::list(&self.state_dir).await? {
            let outcome = self.restore_one(&file).await.transpose();
            restored.extend(outcome.map(|outcome| Restored { interface: file.interface().clone(), outcome }));
        }
        Ok(restored)
    }

    /// Applies one saved state. It is read without the lock: a state that a job saves in the meantime is newer, and
    /// wins in `apply`.
    async fn restore_one(&self, file: &StateFile) -> Result<Option<ApplyReport>, HostError> {
        match file.load().await? {
            Some(saved) => self.apply(saved.desired).await.map(Some),
            None => Ok(None),
        }
    }
}
