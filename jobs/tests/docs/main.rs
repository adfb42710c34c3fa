//! The documentation: README.md, CONTRIBUTING.md, packaging/README.md and docs/, whose commands are run. The rules are in
//! docs/development/testing.md.

mod block;
mod command_names;
mod document;
mod output;
mod reader;
mod session;
mod text;

use uncloud_testkit::world;

use crate::{document::Document, reader::Reader};

/// Reports all findings at once.
#[track_caller]
fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings:\n\n{}\n", findings.len(), findings.join("\n\n"));
}

#[test]
fn document_commands_when_run_print_the_shown_output() {
    world::run(0, |world| {
        let documents = Document::all();
        let reader = Reader::start(world);
        let (readme, others) = documents.split_first().expect("README.md comes first");
        let (variables, mut findings) = reader.follow(readme, "");
        if findings.is_empty() {
            findings = others.iter().flat_map(|document| reader.follow(document, &variables).1).collect();
        }
        findings.extend(reader.end().err());
        assert_none(&findings);
    });
}

#[test]
fn code_blocks_in_documents_declare_their_kind() {
    assert_none(&Document::all().iter().flat_map(block::findings).collect::<Vec<_>>());
}

#[test]
fn commands_and_options_in_documents_exist() {
    assert_none(&command_names::findings(&Document::all()));
}

#[test]
fn links_in_documents_have_existing_targets() {
    let documents = Document::all();
    assert_none(&documents.iter().flat_map(text::broken_links).collect::<Vec<_>>());
}

#[test]
fn lines_in_documents_stay_within_length_limits() {
    let documents = Document::all();
    let mut findings: Vec<String> = documents.iter().flat_map(text::long_lines).collect();
    let lines = documents[0].text.lines().count();
    if lines > text::README_LINES {
        findings.push(format!("README.md has {lines} lines; it must have at most {}", text::README_LINES));
    }
    assert_none(&findings);
}
