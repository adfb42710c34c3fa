//! Locates the distribution's PostgreSQL and Redis programs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// The folder in which Debian keeps the servers of all versions side by side, outside PATH.
const DEBIAN_POSTGRES: &str = "/usr/lib/postgresql";

/// The folders that a PATH without `sbin` (a regular user's on Debian) omits.
const ALSO: [&str; 5] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin"];

/// Finds `initdb` and `postgres` of major version `major` if it is installed, otherwise the newest; the error names
/// the packages to install.
pub fn find_postgres(major: Option<u32>) -> anyhow::Result<(PathBuf, PathBuf)> {
    let mut folders: Vec<(u32, PathBuf)> = std::fs::read_dir(DEBIAN_POSTGRES)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| is_executable(&folder.join("initdb")) && is_executable(&folder.join("postgres")))
        .collect();
    folders.sort_by_key(|(version, _)| (Some(*version) == major, *version));
    if let Some((_, folder)) = folders.pop() {
        return Ok((folder.join("initdb"), folder.join("postgres")));
    }
    match (find_program("initdb"), find_program("postgres")) {
        (Some(initdb), Some(postgres)) => Ok((initdb, postgres)),
        _ => bail!(
            "PostgreSQL's server is not installed: run apt-get install postgresql (Debian, Ubuntu) or apk add postgresql \
             (Alpine), or set DATABASE_URL to use one that runs elsewhere"
        ),
    }
}

/// Finds `redis-server`, or Valkey's server, which speaks the same protocol; the error names the packages to install.
pub fn find_redis() -> anyhow::Result<PathBuf> {
    find_program("redis-server").or_else(|| find_program("valkey-server")).context(
        "Redis is not installed: run apt-get install redis-server (Debian, Ubuntu) or apk add redis (Alpine), or set \
         REDIS_URL to use one that runs elsewhere",
    )
}

/// Returns the major version of a `postgres` program.
pub(super) fn postgres_major(postgres: &Path) -> anyhow::Result<u32> {
    let output = Command::new(postgres).arg("--version").output();
    let output = output.with_context(|| format!("running {}", postgres.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
    text.split_whitespace()
        .find_map(|word| word.split('.').next()?.parse().ok())
        .with_context(|| format!("{} --version printed {text:?}, which contains no version", postgres.display()))
}

/// Finds a program in PATH or in the usual system folders.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(ALSO.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| program.is_absolute() && is_executable(program))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
