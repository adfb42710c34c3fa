//! Links and lines.

use std::{fs, path::Path};

use uncloud_testkit::programs::repository;

use crate::document::Document;

/// At most so many lines has README.md.
pub(crate) const README_LINES: usize = 150;
/// At most so many columns has a line of prose; tables and commands can't be wrapped.
const COLUMNS: usize = 100;

/// Relative links of a document to what does not exist.
pub(crate) fn broken_links(document: &Document) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, text) in document.prose() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            if !target.contains("://")
                && let Err(wrong) = check(document, target)
            {
                findings.push(format!("{}: {target}: {wrong}", document.place(line)));
            }
        }
    }
    findings
}

fn check(document: &Document, target: &str) -> Result<(), String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = match path {
        "" => repository().join(&document.name),
        _ => repository().join(&document.name).parent().unwrap_or(Path::new("/")).join(path),
    };
    if !file.exists() {
        return Err("no such file".to_owned());
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let mut headings = text.lines().filter(|line| line.starts_with('#')).map(slug);
    if headings.any(|heading| heading == anchor) { Ok(()) } else { Err("no such heading".to_owned()) }
}

/// The anchor that GitHub gives to a heading.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|character| character.is_alphanumeric() || [' ', '-', '_'].contains(character));
    kept.map(|character| if character == ' ' { '-' } else { character }).collect()
}

/// Lines that are wider than a screen.
pub(crate) fn long_lines(document: &Document) -> Vec<String> {
    let wide = |(_, text): &(usize, &str)| text.chars().count() > COLUMNS && !text.trim_start().starts_with('|');
    let found = document.prose().into_iter().filter(wide);
    found.map(|(line, _)| format!("{}: longer than {COLUMNS} columns", document.place(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn slug_of_heading_equals_its_anchor_on_github() {
        assert_eq!(slug("## Listening, restarts"), "listening-restarts");
        assert_eq!(slug("### A host for `uncloud up`"), "a-host-for-uncloud-up");
    }
}
