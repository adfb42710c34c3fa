//! The default data folder of an instance.

use std::path::PathBuf;

use anyhow::Context as _;
use nix::unistd::Uid;

/// Returns the default data folder of an instance; commands with `--data-dir` use it too.
pub fn default_data_dir() -> anyhow::Result<PathBuf> {
    if Uid::effective().is_root() {
        return Ok(PathBuf::from("/var/lib/uncloud"));
    }
    // The XDG specification requires a relative path to be ignored.
    if let Some(folder) = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute()) {
        return Ok(folder.join("uncloud"));
    }
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    Ok(home.context("no home folder for the data found; choose a folder with --data-dir")?.join(".local/share/uncloud"))
}
