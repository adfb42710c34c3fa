//! Private PostgreSQL and Redis as child processes of `uncloud up`, which supervises them and keeps their data in a
//! data folder.
//!
//! The programs are the distribution's. They listen on Unix sockets in a folder that only their user (and root) may
//! enter, never on the network, and never run as root.

mod account;
mod child;
mod instance;
mod leftovers;
pub mod netns;
mod place;
mod postgres;
mod process;
mod programs;
mod redis;
mod runtime;

pub use account::Account;
pub use child::{Child, ChildSpec, Log, StopPlan, run_to_end};
pub(crate) use instance::write_private;
pub use instance::{DataDir, HostRecord, Instance, Registry};
pub use leftovers::end_leftovers;
pub use place::default_data_dir;
pub use postgres::Postgres;
pub use process::ProcessId;
pub use programs::{find_postgres, find_program, find_redis};
pub use redis::Redis;
pub use runtime::RuntimeDir;

#[cfg(test)]
mod tests;

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// The time within which a child must become ready. Generous: a small machine under load needs seconds for the first
/// start, and PostgreSQL may have to replay its log after a crash.
const START_DEADLINE: Duration = Duration::from_mins(1);

/// Returns the last lines of a log, for an error message about the program that wrote it.
fn log_tail(path: &Path) -> String {
    const TAIL: u64 = 1500;
    let read = || -> std::io::Result<String> {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Ok(text) if text.trim().is_empty() => format!("{} is empty", path.display()),
        Ok(text) => format!("the end of {}:\n{}", path.display(), text.trim_end()),
        Err(error) => format!("{} cannot be read: {error}", path.display()),
    }
}
