//! Fenced blocks, and what their info strings say.

use crate::document::Document;

/// Languages whose blocks are not commands.
const NOT_COMMANDS: [&str; 8] = ["html", "ini", "json", "mermaid", "rust", "sql", "text", "toml"];

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The line of its opening fence.
    pub(crate) line: usize,
    /// The line of its closing fence.
    pub(crate) last_line: usize,
    /// The info string after the opening fence.
    pub(crate) info: String,
    /// Its lines, without the fence's indentation.
    pub(crate) lines: Vec<String>,
}

/// A command of a session, and what the document shows of its output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) command: String,
    pub(crate) shown: Vec<String>,
}

impl Block {
    /// Returns all blocks of a Markdown text.
    pub(crate) fn all(text: &str) -> Vec<Self> {
        let mut blocks = Vec::new();
        let mut open: Option<(Self, usize)> = None;
        for (index, line) in text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (open.take(), fence) {
                (Some((block, _)), Some("")) => blocks.push(Self { last_line: index + 1, ..block }),
                (Some((mut block, indent)), _) => {
                    block.lines.push(line.get(indent..).unwrap_or_else(|| line.trim_start()).to_owned());
                    open = Some((block, indent));
                }
                (None, Some(info)) => {
                    let indent = line.len() - line.trim_start().len();
                    let info = info.trim().to_owned();
                    open = Some((Self { line: index + 1, last_line: 0, info, lines: Vec::new() }, indent));
                }
                (None, None) => {}
            }
        }
        if let Some((block, _)) = open {
            blocks.push(Self { last_line: text.lines().count(), ..block }); // a renderer shows it like this
        }
        blocks
    }

    /// Returns whether its commands are run.
    pub(crate) fn is_run(&self) -> bool {
        self.info == "console"
    }

    /// Returns whether it consists of commands, run or not.
    pub(crate) fn has_commands(&self) -> bool {
        matches!(self.info.as_str(), "console" | "console example" | "sh example")
    }

    /// Returns the commands of a session.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (_, Some(step)) if step.shown.is_empty() && is_unfinished(&step.command) => {
                    step.command.push('\n');
                    step.command.push_str(line);
                }
                (Some(command), _) => {
                    steps.push(Step { line: self.line + index + 1, command: command.to_owned(), shown: Vec::new() });
                }
                (None, Some(step)) => step.shown.push(line.clone()),
                (None, None) => {} // `findings` says so
            }
        }
        steps
    }
}

/// Returns whether a command goes on in the next line: after a backslash, or inside single quotes.
fn is_unfinished(command: &str) -> bool {
    command.ends_with('\\') || command.matches('\'').count() % 2 == 1
}

/// The faults of a document's blocks.
pub(crate) fn findings(document: &Document) -> Vec<String> {
    let mut findings = Vec::new();
    for block in document.blocks() {
        let place = document.place(block.line);
        let is_known = block.has_commands() || NOT_COMMANDS.contains(&block.info.as_str());
        if !is_known {
            findings.push(format!(
                "{place}: \"```{}\" does not say what the block is: `console` for a session that a test runs, `sh example` \
                 or `console example` for commands with made-up names, or one of {}",
                block.info,
                NOT_COMMANDS.join(", ")
            ));
        }
        if block.info.starts_with("console") && !block.lines.first().is_some_and(|line| line.starts_with("$ ")) {
            findings.push(format!("{place}: a session begins with a command, as in `$ uncloud --help`"));
        }
    }
    for (line, text) in document.prose() {
        if text.starts_with("    ") && text.trim_start().starts_with("$ ") {
            let place = document.place(line);
            findings
                .push(format!("{place}: commands belong in a fenced block, whose info string says whether they run"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{Block, Step};

    #[test]
    fn session_with_continued_command_becomes_steps() {
        let text = "1. Do:\n\n   ```console\n   $ one \\\n       'two\n   2'\n   out\n   $ three\n   ```\n\n```sh example\n$ no\n```\n";
        let blocks = Block::all(text);
        assert_eq!(blocks.iter().map(|block| block.info.as_str()).collect::<Vec<_>>(), ["console", "sh example"]);
        assert_eq!((blocks[0].line, blocks[0].last_line), (3, 9));
        let step = |line, command: &str, shown: &[&str]| Step {
            line,
            command: command.to_owned(),
            shown: shown.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(blocks[0].steps(), [step(4, "one \\\n    'two\n2'", &["out"]), step(8, "three", &[])]);
        assert!(!blocks[1].is_run());
    }
}
