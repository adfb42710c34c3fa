//! The data folder of an instance: its lock, and the instance's record for other programs (`instance.json`).

use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail};
use nix::fcntl::OFlag;
use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};
use uncloud_wire::Secret;

use super::{ProcessId, runtime};

const FILE: &str = "instance.json";

/// A data folder that is locked by this process as long as the value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    id: String,
    _lock: File,
}

impl DataDir {
    /// Creates the folder if it is missing and locks it; the error names the process that holds the lock.
    pub fn lock(path: &Path) -> anyhow::Result<Self> {
        // If owned by root, other users may enter (not list) it: PostgreSQL's user must reach its folder inside.
        let mode = if Uid::effective().is_root() { 0o711 } else { 0o700 };
        let created = DirBuilder::new().recursive(true).mode(mode).create(path);
        created.with_context(|| format!("creating the data folder {}; choose one with --data-dir", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("resolving {}", path.display()))?;
        ensure_own(&path, &std::fs::metadata(&path)?)?;
        let lock_path = path.join("lock");
        let mut options = OpenOptions::new();
        let mut lock = options
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .with_context(|| format!("opening {}; choose another folder with --data-dir", lock_path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(already_running(&path, &lock_path)),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", lock_path.display()));
            }
        }
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        let log_dir = path.join("log");
        DirBuilder::new().recursive(true).mode(0o750).create(&log_dir)?;
        Ok(Self { id: runtime::instance_id(&path), path, _lock: lock })
    }

    /// Returns the resolved path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the instance's short name, the same at each start; part of the names of the runtime folder and of
    /// namespaces.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the path of a child's log file.
    pub fn log_file(&self, child: &str) -> PathBuf {
        self.path.join("log").join(format!("{child}.log"))
    }
}

fn already_running(path: &Path, lock_path: &Path) -> String {
    let holder = std::fs::read_to_string(lock_path).unwrap_or_default();
    let folder = path.display();
    match holder.trim() {
        "" => format!("another `uncloud up` uses {folder}; stop it, or choose another folder with --data-dir"),
        pid => format!(
            "another `uncloud up` (process {pid}) uses {folder}; stop it (kill {pid}), or choose another folder with \
             --data-dir"
        ),
    }
}

/// A child process of an instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChildRecord {
    /// The name of the child, e.g. `postgres`.
    pub name: String,
    /// The process of the child.
    #[serde(flatten)]
    pub process: ProcessId,
}

/// A host that the instance runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    /// The host's queue, named after it.
    pub queue: String,
    /// The network namespace of the host's worker; `None`: the machine's own network.
    pub netns: Option<String>,
    /// The folder in which the host's worker keeps the state that it has to restore.
    pub state_dir: PathBuf,
    /// The WireGuard implementation: `kernel` or `wireguard-go`; `None` for a dry run.
    pub wireguard_implementation: Option<String>,
    /// The reason for a dry run: a missing requirement of a real run.
    pub dry_run: Option<String>,
}

/// The record of an instance for other programs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Instance {
    /// The short name, see [`DataDir::id`].
    pub id: String,
    /// The process of `uncloud up`.
    #[serde(flatten)]
    pub process: ProcessId,
    /// The folder with the sockets.
    pub runtime_dir: Option<PathBuf>,
    /// The address of the API, as soon as it listens.
    pub listen: Option<SocketAddr>,
    /// The URL of the database, as soon as it runs.
    #[serde(with = "exposed")]
    pub database_url: Option<Secret<String>>,
    /// The URL of Redis, as soon as it runs.
    #[serde(with = "exposed")]
    pub redis_url: Option<Secret<String>>,
    /// The child processes, in the order of their start.
    pub children: Vec<ChildRecord>,
    /// The hosts that the instance runs.
    pub hosts: Vec<HostRecord>,
}

impl Instance {
    /// Returns the instance that runs on `data_dir`, or `None`.
    pub fn read(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        Ok(Self::read_even_dead(data_dir)?.filter(|instance| instance.process.is_running()))
    }

    /// Returns the instance that runs on `data_dir`, or an error with the command that starts one.
    pub fn running(data_dir: &Path) -> anyhow::Result<Self> {
        let folder = data_dir.display();
        Self::read(data_dir)?.with_context(|| {
            format!("no `uncloud up` runs on {folder}; start it with `uncloud up --data-dir {folder}`, or name another")
        })
    }

    /// Returns the content of the file, even if its process no longer runs.
    pub(super) fn read_even_dead(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = data_dir.join(FILE);
        let mut file = match OpenOptions::new().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        // It says where passwords and keys go, so only what nobody else could have written is believed.
        ensure_own(data_dir, &std::fs::metadata(data_dir)?)?;
        ensure_own(&path, &file.metadata()?)?;
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(|| format!("reading {}", path.display()))?;
        let parsed = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Some(parsed))
    }
}

/// Fails unless a file or folder belongs to this user or to root, and nobody else may write it.
fn ensure_own(path: &Path, metadata: &Metadata) -> anyhow::Result<()> {
    let own = Uid::effective().as_raw();
    if metadata.uid() != own && metadata.uid() != 0 {
        let owner = User::from_uid(Uid::from_raw(metadata.uid())).ok().flatten().map(|user| user.name);
        let owner = owner.unwrap_or_else(|| metadata.uid().to_string());
        bail!(
            "{} belongs to the user {owner}; run the command as that user, or choose another --data-dir",
            path.display()
        );
    }
    if metadata.mode() & 0o022 != 0 {
        bail!("{path} can be written by other users; take that away (chmod go-w {path})", path = path.display());
    }
    Ok(())
}

/// Serializes the secret URLs in clear: only the same user can read the file (mode 0600).
mod exposed {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use uncloud_wire::Secret;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(value: &Option<Secret<String>>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Secret::expose).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Option<Secret<String>>, D::Error> {
        Ok(Option::<String>::deserialize(de)?.map(Secret::new))
    }
}

/// The writer of `instance.json`, which keeps the file up to date while the instance runs.
#[derive(Debug)]
pub struct Registry {
    path: PathBuf,
    instance: Mutex<Instance>,
}

impl Registry {
    /// Writes the first version: this process, without children.
    pub fn create(data_dir: &DataDir) -> anyhow::Result<Self> {
        let instance = Instance {
            id: data_dir.id.clone(),
            process: ProcessId::own()?,
            runtime_dir: None,
            listen: None,
            database_url: None,
            redis_url: None,
            children: Vec::new(),
            hosts: Vec::new(),
        };
        let registry = Self { path: data_dir.path.join(FILE), instance: Mutex::new(instance.clone()) };
        write_private(&registry.path, &serde_json::to_vec_pretty(&instance)?)?;
        Ok(registry)
    }

    /// Changes the record and writes it. If the file cannot be written, the error is logged, and the instance
    /// continues.
    pub fn update(&self, change: impl FnOnce(&mut Instance)) {
        let mut instance = self.instance.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut instance);
        let written = serde_json::to_vec_pretty(&*instance)
            .map_err(anyhow::Error::from)
            .and_then(|json| write_private(&self.path, &json));
        if let Err(error) = written {
            tracing::error!("recording the running processes failed; the next start may not find them: {error:#}");
        }
    }

    pub(super) fn record_child(&self, name: &str, process: ProcessId) {
        self.update(|instance| {
            instance.children.retain(|child| child.name != name);
            instance.children.push(ChildRecord { name: name.to_owned(), process });
        });
    }

    pub(super) fn forget_child(&self, name: &str) {
        self.update(|instance| instance.children.retain(|child| child.name != name));
    }

    /// Removes the file: the instance has ended and left nothing behind.
    pub fn remove(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "removing the file failed");
        }
    }
}

/// Replaces a file by one that only its owner may read. A reader sees either the old or the new content, never a
/// part.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}
