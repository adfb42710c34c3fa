//! The folder of a server, and the user that the server runs as.

use std::{
    fs::{self, DirBuilder},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, chown},
    path::{Path, PathBuf},
};

use nix::sys::statvfs::statvfs;
use uncloud::embedded::Account;

use super::ServerOptions;

/// The memory that must be free for servers' folders in memory: the databases of all tests need half of it.
const ENOUGH_MEMORY: u64 = 12 << 30;

/// Returns the folder of all servers' folders: in memory, where there is enough, since hundreds of databases that live for
/// seconds keep a disk busy.
fn parent() -> &'static str {
    const MEMORY: &str = "/dev/shm";
    let free = statvfs(MEMORY).map_or(0, |of| of.blocks_available() * of.fragment_size());
    if free > ENOUGH_MEMORY { MEMORY } else { "/tmp" }
}

/// A folder of mode 0700, short enough a path for unix sockets. The server's watchdog removes it.
#[derive(Debug)]
pub(super) struct ServerFolder {
    pub(super) path: PathBuf,
    /// The owner and the server's user; none when the tests do not run as root.
    pub(super) account: Option<Account>,
}

impl ServerFolder {
    /// Creates a folder for a server that refuses to run as root.
    pub(super) fn new() -> Self {
        Self::owned_by(Account::choose(None).unwrap_or_else(|error| panic!("{error:#}")))
    }

    /// Creates a folder for a server that runs as the tests do.
    pub(super) fn of_this_user() -> Self {
        Self::owned_by(None)
    }

    fn owned_by(account: Option<Account>) -> Self {
        let folder = tempfile::Builder::new().prefix("uncloud-test-").tempdir_in(parent()).expect("a folder");
        let this = Self { path: folder.keep(), account };
        this.give(&this.path);
        this
    }

    /// Creates the folder again after its removal.
    pub(super) fn create_again(&self) {
        DirBuilder::new().mode(0o700).create(&self.path).expect("a folder");
        self.give(&self.path);
    }

    /// Makes the server's user the owner of a file or folder.
    pub(super) fn give(&self, path: &Path) {
        let Some(Account { uid, gid, .. }) = self.account else { return };
        chown(path, Some(uid), Some(gid)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Writes the files of the options.
    pub(super) fn write(&self, options: &ServerOptions) {
        for (name, content) in &options.files {
            let path = self.path.join(name);
            let mut file =
                fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).expect("a new file");
            file.write_all(content).expect("written");
            self.give(&path);
        }
    }

    /// Returns the arguments of the options, with the folder's path in them.
    pub(super) fn args(&self, options: &ServerOptions) -> Vec<String> {
        let folder = self.path.display().to_string();
        options.args.iter().map(|arg| arg.replace("{DIR}", &folder)).collect()
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("log")
    }
}
