//! A file of the documentation.

use std::{fs, path::Path};

use uncloud_testkit::programs;

use crate::block::Block;

/// A Markdown file that people write. Generated ones (docs/reference/) are compared with what generates them instead.
pub(crate) struct Document {
    /// Its path from the repository's root.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Document {
    /// Reads all documents; README.md is the first.
    pub(crate) fn all() -> Vec<Self> {
        let root = programs::repository();
        let mut names: Vec<String> = ["CONTRIBUTING.md", "packaging/README.md"].map(str::to_owned).into();
        collect(&root, "docs", &mut names);
        names.sort_unstable();
        names.insert(0, "README.md".to_owned());
        let read = |name: String| {
            let text = fs::read_to_string(root.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            Self { name, text }
        };
        names.into_iter().map(read).collect()
    }

    /// Returns its fenced blocks.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        Block::all(&self.text)
    }

    /// Returns the lines outside of fenced blocks, with their numbers.
    pub(crate) fn prose(&self) -> Vec<(usize, &str)> {
        let blocks = self.blocks();
        let is_inside = |number| blocks.iter().any(|block| (block.line..=block.last_line).contains(&number));
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line)).filter(|(n, _)| !is_inside(*n)).collect()
    }

    /// Names a line for people and editors.
    pub(crate) fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.name)
    }
}

fn collect(root: &Path, folder: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}")) {
        let entry = entry.expect("readable");
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() && name != "docs/reference" {
            collect(root, &name, names);
        } else if entry.path().extension().is_some_and(|extension| extension == "md") {
            names.push(name);
        }
    }
}
