//! The saved state of an interface: the newest desired state, in a file that only the worker reads.
//!
//! The file restores the interface after a reboot, and prevents a late, older job from undoing a newer one. The files
//! of deleted interfaces remain, without keys, for the second reason.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tokio::{task, time};
use uncloud_wire::desired::{self, DesiredInterface, InterfaceConfig, InterfaceName, InterfaceState};

use super::{HostError, scrub::scrub};

/// The interval at which a busy lock is tried.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// The content of a state file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Saved {
    /// True from before the first command until everything is verified: the machine may be in any state in between.
    #[serde(default)]
    pub(super) unfinished: bool,
    /// The routes of earlier states whose unreachable routes may still exist.
    #[serde(default)]
    pub(super) retired_routes: Vec<IpNet>,
    /// The desired state. It comes last, as the private key does in it.
    pub(super) desired: DesiredInterface,
}

impl Saved {
    /// Returns a state that is about to be applied after `previous`.
    pub(super) fn unfinished(desired: DesiredInterface, previous: Option<&Self>) -> Self {
        let mut retired: Vec<IpNet> = previous.map(|saved| saved.retired_routes.clone()).unwrap_or_default();
        retired.extend(previous.and_then(Self::config).into_iter().flat_map(|config| &config.routes));
        let desired_routes = routes(&desired.state).to_vec();
        retired.retain(|route| !desired_routes.contains(route));
        retired.sort_unstable();
        retired.dedup();
        Self { unfinished: true, retired_routes: retired, desired }
    }

    /// Returns the same state once it is in effect.
    pub(super) fn finished(&self) -> Self {
        Self { unfinished: false, retired_routes: Vec::new(), desired: self.desired.clone() }
    }

    /// Returns the configuration; none if the interface should be absent.
    pub(super) const fn config(&self) -> Option<&InterfaceConfig> {
        match &self.desired.state {
            InterfaceState::Absent => None,
            InterfaceState::Present(config) => Some(config),
        }
    }
}

fn routes(state: &InterfaceState) -> &[IpNet] {
    match state {
        InterfaceState::Absent => &[],
        InterfaceState::Present(config) => &config.routes,
    }
}

/// The part of a file of any version that contains the version.
#[derive(Deserialize)]
struct AnyVersion {
    desired: AnyDesired,
}

#[derive(Deserialize)]
struct AnyDesired {
    version: u32,
    interface: InterfaceName,
}

/// The state file of one interface.
#[derive(Debug, Clone)]
pub(super) struct StateFile {
    dir: PathBuf,
    interface: InterfaceName,
}

impl StateFile {
    pub(super) fn new(dir: &Path, interface: &InterfaceName) -> Self {
        Self { dir: dir.to_owned(), interface: interface.clone() }
    }

    /// Returns the path of the file.
    pub(super) fn path(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.interface))
    }

    /// Waits for the interface's lock, which is held until the returned file is closed, at the latest by the kernel
    /// when the process ends.
    pub(super) async fn lock(&self, wait: Duration) -> Result<File, HostError> {
        let path = self.dir.join(format!(".{}.lock", self.interface));
        let options = || OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = options().map_err(failed("open the lock file", &path))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if start.elapsed() < wait => time::sleep(LOCK_POLL).await,
                Err(TryLockError::WouldBlock) => {
                    return Err(HostError::Locked { interface: self.interface.clone(), path, waited: wait });
                }
                Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
            }
        }
    }

    /// Returns the saved state; none before the first one.
    pub(super) async fn load(&self) -> Result<Option<Saved>, HostError> {
        let file = self.clone();
        blocking(move || file.load_now()).await
    }

    /// Replaces the saved state. A power cut leaves either the old or the new one.
    pub(super) async fn save(&self, saved: Saved) -> Result<(), HostError> {
        let file = self.clone();
        blocking(move || file.save_now(&saved)).await
    }

    fn load_now(&self) -> Result<Option<Saved>, HostError> {
        let path = self.path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        if let Ok(AnyVersion { desired: AnyDesired { version, interface } }) = serde_json::from_slice(&bytes)
            && version > desired::VERSION
        {
            return Err(HostError::NewerVersion { interface, version });
        }
        // Serde's message may quote the invalid text.
        let broken = |reason: &str| HostError::BrokenState { path: path.clone(), reason: scrub(reason) };
        let saved: Saved = serde_json::from_slice(&bytes).map_err(|error| broken(&error.to_string()))?;
        if saved.desired.interface != self.interface {
            return Err(broken(&format!("it contains the state of {}", saved.desired.interface)));
        }
        Ok(Some(saved))
    }

    fn save_now(&self, saved: &Saved) -> Result<(), HostError> {
        let (path, tmp) = (self.path(), self.dir.join(format!(".{}.json.tmp", self.interface)));
        let bytes = serde_json::to_vec(saved).map_err(io::Error::other).map_err(failed("write", &path))?;
        match fs::remove_file(&tmp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &tmp)(error)),
            _ => {}
        }
        let options = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&tmp);
        let mut file = options.map_err(failed("create", &tmp))?;
        if let Err(error) = file.write_all(&bytes).and_then(|()| file.sync_all()) {
            let _ = fs::remove_file(&tmp); // on a full disk even this partial file takes space
            return Err(failed("write", &tmp)(error));
        }
        fs::rename(&tmp, &path).map_err(failed("replace", &path))?;
        let dir = File::open(&self.dir).and_then(|dir| dir.sync_all());
        dir.map_err(failed("flush to disk", &self.dir))
    }
}

/// Returns the state files in a folder, with their interfaces; other files are ignored.
pub(super) async fn list(dir: &Path) -> Result<Vec<StateFile>, HostError> {
    let dir = dir.to_owned();
    blocking(move || {
        let mut files = Vec::new();
        for entry in fs::read_dir(&dir).map_err(failed("list", &dir))? {
            let name = entry.map_err(failed("list", &dir))?.file_name();
            let interface = name.to_str().and_then(|name| name.strip_suffix(".json")).map(str::parse);
            files.extend(interface.into_iter().flatten().map(|interface| StateFile::new(&dir, &interface)));
        }
        files.sort_by(|a, b| a.interface.cmp(&b.interface));
        Ok(files)
    })
    .await
}

impl StateFile {
    /// Returns the interface of the state.
    pub(super) const fn interface(&self) -> &InterfaceName {
        &self.interface
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HostError {
    move |source| HostError::State { action, path: path.to_owned(), source }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HostError> + Send + 'static,
) -> Result<T, HostError> {
    task::spawn_blocking(work).await.unwrap_or(Err(HostError::Interrupted))
}

#[cfg(test)]
mod tests;
