//! Paths of the programs under test.
//!
//! A library cannot use `env!("CARGO_BIN_EXE_...")`: Cargo sets that only for tests and benches of the package that
//! the program belongs to. The kit serves tests of two packages, so it looks for the programs where Cargo puts them:
//! in `target/PROFILE/`, one folder above the test program, which is in `target/PROFILE/deps/`. A test and the
//! programs that it starts are therefore always of the same profile.

use std::{env, path::PathBuf};

/// Returns the path of `uncloud`.
pub fn uncloud() -> PathBuf {
    beside_this_program("uncloud")
}

/// Returns the path of `uncloud-worker`.
pub fn uncloud_worker() -> PathBuf {
    beside_this_program("uncloud-worker")
}

/// Returns the root of the repository, found from the folder of the package, in which Cargo runs tests and benches.
///
/// `env!("CARGO_MANIFEST_DIR")` would keep the checkout in which the test was built, and Cargo does not build it again
/// for another one that shares its target folder.
pub fn repository() -> PathBuf {
    let here = env::current_dir().expect("the current folder");
    here.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).expect("a folder with Cargo.lock").to_owned()
}

/// Returns the folder `target/PROFILE/`.
pub(crate) fn folder() -> PathBuf {
    let test = env::current_exe().expect("path of this program");
    test.ancestors().nth(2).expect("target/PROFILE/deps/TEST").to_owned()
}

fn beside_this_program(name: &str) -> PathBuf {
    let program = folder().join(name);
    // Cargo builds only the programs of the package under test: after a change, `cargo test -p uncloud-jobs` alone
    // would start an `uncloud` of before.
    assert!(program.is_file(), "{} is missing: run `cargo test --workspace --no-run`", program.display());
    program
}
