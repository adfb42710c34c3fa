//! The runtime folder, which holds the sockets.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use nix::unistd::Uid;
use ring::digest::{SHA256, digest};

use super::Account;

/// The longest path of a Unix socket (`sun_path` without its terminating zero), in bytes.
const SOCKET_PATH_MAX: usize = 107;
/// The longest file name that a server creates for its socket.
const LONGEST_SOCKET: &str = ".s.PGSQL.5432.lock";

/// A folder of mode 0700 with a path short enough for sockets; every user that may enter it may use the databases.
#[derive(Debug)]
pub struct RuntimeDir {
    path: PathBuf,
}

impl RuntimeDir {
    /// Creates the folder of instance `id`: `/run/uncloud-ID` as root, else in `XDG_RUNTIME_DIR` or `/tmp`.
    pub fn create(id: &str, account: Option<&Account>) -> anyhow::Result<Self> {
        let mut places = Vec::new();
        if Uid::effective().is_root() {
            places.push(PathBuf::from("/run"));
        } else if let Some(folder) = std::env::var_os("XDG_RUNTIME_DIR") {
            places.push(PathBuf::from(folder));
        }
        places.push(PathBuf::from("/tmp"));
        let mut reason = None;
        for place in places {
            let path = place.join(format!("uncloud-{id}"));
            match Self::create_at(path, account) {
                Ok(dir) => return Ok(dir),
                Err(error) => reason = Some(error),
            }
        }
        Err(reason.unwrap_or_else(|| anyhow::anyhow!("no folder for sockets found")))
    }

    /// Creates exactly this folder. Fails if it exists: in `/tmp` it may belong to another user.
    fn create_at(path: PathBuf, account: Option<&Account>) -> anyhow::Result<Self> {
        if path.join(LONGEST_SOCKET).as_os_str().len() > SOCKET_PATH_MAX {
            bail!("the path {} is too long for Unix sockets", path.display());
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("creating {} for sockets: remove it if nothing uses it", path.display()))?;
        let dir = Self { path };
        if let Some(account) = account {
            account.give(&dir.path)?;
            account.ensure_reaches(&dir.path)?;
        }
        Ok(dir)
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the folder with its content.
    pub fn remove(&self) {
        remove(&self.path);
    }
}

/// Removes a runtime folder that an instance file names, provided that it looks like one of `uncloud`: the file might
/// be damaged.
pub(super) fn remove(path: &Path) {
    let ours = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("uncloud-"));
    if !ours {
        tracing::warn!(path = %path.display(), "not a runtime folder of uncloud, not removing it");
        return;
    }
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "removing the runtime folder failed");
        }
        _ => {}
    }
}

/// Returns the short name of the instance in `data_dir`. It is the same at each start, so that the next start finds
/// by name the leftovers of a killed instance.
pub(super) fn instance_id(data_dir: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    hex(&digest(&SHA256, data_dir.as_os_str().as_bytes()).as_ref()[..4])
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Removes a runtime folder of instance `id` that no file names, if it belongs to this user.
pub(super) fn remove_stale(id: &str) {
    use std::os::unix::fs::MetadataExt as _;
    let own = Uid::effective();
    for place in [Some("/run".into()), std::env::var_os("XDG_RUNTIME_DIR"), Some("/tmp".into())].into_iter().flatten() {
        let path = PathBuf::from(place).join(format!("uncloud-{id}"));
        let is_ours =
            path.symlink_metadata().is_ok_and(|at| at.is_dir() && (own.is_root() || at.uid() == own.as_raw()));
        if is_ours {
            remove(&path);
        }
    }
}
