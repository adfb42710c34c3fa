//! Who the private servers run as.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use nix::unistd::{Uid, User};

/// Tried in this order when nobody named a user.
const CANDIDATES: [&str; 3] = ["uncloud", "postgres", "nobody"];

/// The unprivileged user that the private servers run as when `uncloud` itself is root (PostgreSQL refuses root).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name, for messages.
    pub name: String,
    /// Its user id, never 0.
    pub uid: u32,
    /// Its primary group's id.
    pub gid: u32,
}

impl Account {
    /// The user to run as: `wanted`, else the first that exists of `uncloud`, `postgres` and `nobody`. `None` when this
    /// process is not root: then the servers run as whoever started it.
    pub fn choose(wanted: Option<&str>) -> anyhow::Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        if let Some(name) = wanted {
            let Some(account) = Self::named(name)? else {
                bail!("there is no user {name:?} to run PostgreSQL and Redis as: create it (useradd --system {name})");
            };
            if account.uid == 0 {
                bail!("PostgreSQL refuses to run as root: name another user than {name:?}");
            }
            return Ok(Some(account));
        }
        for name in CANDIDATES {
            if let Some(account) = Self::named(name)? {
                return Ok(Some(account));
            }
        }
        bail!("no unprivileged user for PostgreSQL and Redis: create one (useradd --system uncloud)")
    }

    /// Like `self`, but whoever owns `existing` already: data that was made by one user stays usable when another user
    /// would be chosen today, e.g. because `uncloud` has been created since.
    pub(super) fn or_owner_of(self, existing: &Path) -> anyhow::Result<Self> {
        let Ok(metadata) = std::fs::metadata(existing) else { return Ok(self) };
        if metadata.uid() == 0 || metadata.uid() == self.uid {
            return Ok(self);
        }
        let owner = User::from_uid(Uid::from_raw(metadata.uid())).context("reading the user database")?;
        let name = owner.map_or_else(|| format!("user {}", metadata.uid()), |user| user.name);
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

    /// Gives `path` to this user.
    pub(super) fn give(&self, path: &Path) -> anyhow::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("giving {} to the user {}", path.display(), self.name))
    }

    /// Fails when this user cannot enter `folder`, naming the folder on the way that shuts it out.
    pub(super) fn ensure_reaches(&self, folder: &Path) -> anyhow::Result<()> {
        if self.enters(folder)? {
            return Ok(());
        }
        let mut way: Vec<&Path> = folder.ancestors().collect();
        way.reverse();
        for step in way {
            if !self.enters(step)? {
                bail!(
                    "the user {name}, who runs PostgreSQL and Redis here, cannot reach {folder}, because {step} lets \
                     nobody else in: choose another --data-dir (/var/lib/uncloud is the default), or chmod o+x {step}",
                    name = self.name,
                    folder = folder.display(),
                    step = step.display(),
                );
            }
        }
        Ok(())
    }

    /// Whether this user may enter `folder`. Asked of the kernel, which knows about access lists and mounts too.
    fn enters(&self, folder: &Path) -> anyhow::Result<bool> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "cd -- \"$1\"", "sh"]).arg(folder).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.apply(&mut command);
        Ok(command.status().with_context(|| format!("running /bin/sh as the user {}", self.name))?.success())
    }
}
