//! docs/reference: generated from the command lines of both programs and from the table of problem codes.
//!
//! The test compares the committed files with what the code says; `./dev reference` writes them.

mod command_line;
mod configuration;
mod errors;
mod markdown;

use std::fs;

use uncloud_testkit::programs;

/// Set by `./dev reference`: the files are written instead of compared.
const WRITE: &str = "UNCLOUD_WRITE_REFERENCE";

/// Secrets have no default, and nothing of this process' environment reaches the files.
fn generated() -> [(&'static str, String); 3] {
    [
        ("command-line.md", command_line::page()),
        ("configuration.md", configuration::page()),
        ("errors.md", errors::page()),
    ]
}

#[test]
fn reference_in_repository_matches_the_programs() {
    let folder = programs::repository().join("docs/reference");
    if std::env::var_os(WRITE).is_some() {
        fs::create_dir_all(&folder).expect("docs/reference");
        for (name, text) in generated() {
            fs::write(folder.join(name), text).expect("written");
        }
    }
    for (name, text) in generated() {
        let committed = fs::read_to_string(folder.join(name)).unwrap_or_default();
        let line = committed.lines().zip(text.lines()).position(|(old, new)| old != new);
        let line = line.unwrap_or_else(|| committed.lines().count().min(text.lines().count())) + 1;
        assert!(
            committed == text,
            "docs/reference/{name} differs from what the programs say, from line {line} on: run ./dev reference and commit"
        );
    }
}

#[test]
fn reference_lines_fit_in_100_columns() {
    for (name, text) in generated() {
        // A table's row and an address can't be broken.
        let long = text.lines().find(|line| line.chars().count() > 100 && !line.starts_with('|') && line.contains(' '));
        assert_eq!(long, None, "{name}");
    }
}
