//! The folder of an instance when nobody names one.

use std::path::PathBuf;

use anyhow::Context as _;
use nix::unistd::Uid;

/// Where an instance keeps its data when nobody says otherwise; also where `--data-dir` commands look.
pub fn default_data_dir() -> anyhow::Result<PathBuf> {
    if Uid::effective().is_root() {
        return Ok(PathBuf::from("/var/lib/uncloud"));
    }
    // XDG: a relative path in it is to be ignored.
    if let Some(folder) = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute()) {
        return Ok(folder.join("uncloud"));
    }
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    Ok(home.context("there is no home folder to keep the data in: choose a --data-dir")?.join(".local/share/uncloud"))
}
