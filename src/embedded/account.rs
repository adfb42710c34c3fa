//! The user that the private servers run as.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use nix::unistd::{Uid, User};

/// The candidates in this order if no user is named.
const CANDIDATES: [&str; 2] = ["uncloud", "postgres"];
/// The user of whatever has no user of its own, which must not reach the database.
const NOBODY: &str = "nobody";

/// The unprivileged user that the private servers run as when `uncloud` itself is root (PostgreSQL refuses root).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user's name, for messages.
    pub name: String,
    /// The user's id, never 0.
    pub uid: u32,
    /// The id of the user's primary group.
    pub gid: u32,
}

impl Account {
    /// Chooses the user to run as: `requested`, otherwise the first that exists of `uncloud` and `postgres`.
    /// Returns `None` if this process is not root: then the servers run as its user.
    pub fn choose(requested: Option<&str>) -> anyhow::Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        if let Some(name) = requested {
            let Some(account) = Self::named(name)? else {
                bail!("user {name:?} for PostgreSQL and Redis not found; create it (useradd --system {name})");
            };
            if account.uid == 0 {
                bail!("PostgreSQL refuses to run as root; name another user than {name:?}");
            }
            if name == NOBODY {
                bail!("other programs run as {NOBODY:?}, too, and would reach the database; name a user of its own");
            }
            return Ok(Some(account));
        }
        for name in CANDIDATES {
            if let Some(account) = Self::named(name)? {
                return Ok(Some(account));
            }
        }
        bail!("no unprivileged user for PostgreSQL and Redis found; create one (useradd --system uncloud)")
    }

    /// Returns the owner of `existing` instead of this user if it exists: data created by one user remains usable
    /// when another user would be chosen today, e.g. because `uncloud` has been created since.
    pub(super) fn or_owner_of(self, existing: &Path) -> anyhow::Result<Self> {
        let Ok(metadata) = std::fs::metadata(existing) else { return Ok(self) };
        if metadata.uid() == 0 || metadata.uid() == self.uid {
            return Ok(self);
        }
        let owner = User::from_uid(Uid::from_raw(metadata.uid())).context("reading the user database")?;
        let name = owner.map_or_else(|| format!("user {}", metadata.uid()), |user| user.name);
        if name == NOBODY {
            let (folder, name) = (existing.display(), &self.name);
            bail!(
                "{folder} belongs to {NOBODY:?}, as which other programs run, too; hand it over: chown -R {name}: {folder}"
            );
        }
        Ok(Self { name, uid: metadata.uid(), gid: metadata.gid() })
    }

    fn named(name: &str) -> anyhow::Result<Option<Self>> {
        let user = User::from_name(name).with_context(|| format!("looking up the user {name:?}"))?;
        Ok(user.map(|user| Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
    }

    /// Makes `command` run as this user (std also drops root's supplementary groups).
    pub(super) fn apply(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Changes the owner of `path` to this user.
    pub(super) fn give(&self, path: &Path) -> anyhow::Result<()> {
        // Not what a link names, which this user may have put there.
        std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("giving {} to the user {}", path.display(), self.name))
    }

    /// Fails if this user cannot enter `folder`, and names the folder on its path that denies access.
    pub(super) fn ensure_reaches(&self, folder: &Path) -> anyhow::Result<()> {
        if self.enters(folder)? {
            return Ok(());
        }
        let mut way: Vec<&Path> = folder.ancestors().collect();
        way.reverse();
        for step in way {
            if !self.enters(step)? {
                bail!(
                    "the user {name}, which runs PostgreSQL and Redis here, cannot reach {folder}, because {step} \
                     denies access to other users; choose another --data-dir (default /var/lib/uncloud), or chmod o+x {step}",
                    name = self.name,
                    folder = folder.display(),
                    step = step.display(),
                );
            }
        }
        Ok(())
    }

    /// Returns true if this user may enter `folder`. Tested by the kernel, which also considers access lists and
    /// mounts.
    fn enters(&self, folder: &Path) -> anyhow::Result<bool> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "cd -- \"$1\"", "sh"]).arg(folder).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.apply(&mut command);
        Ok(command.status().with_context(|| format!("running /bin/sh as the user {}", self.name))?.success())
    }
}
