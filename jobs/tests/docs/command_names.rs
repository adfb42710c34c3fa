//! A check that the commands and options that documents name exist, also where nothing is run.

use std::{
    collections::HashMap,
    process::{Command, Stdio},
};

use uncloud_testkit::{
    command::{clear_env, succeed},
    programs,
};

use crate::document::Document;

/// The help of commands, asked for once.
struct Programs {
    helps: HashMap<Vec<String>, String>,
    dev: String,
}

/// Commands that are named and do not exist.
pub(crate) fn findings(documents: &[Document]) -> Vec<String> {
    let dev =
        succeed(clear_env(Command::new("./dev").arg("help").current_dir(programs::repository())).env("HOME", "/"), "");
    let mut programs = Programs { helps: HashMap::new(), dev };
    let mut findings = Vec::new();
    for document in documents {
        for (line, command) in commands(document) {
            if let Err(wrong) = programs.check(&command) {
                findings.push(format!("{}: `{command}`: {wrong}", document.place(line)));
            }
        }
    }
    findings
}

/// The commands that a document names: code in its text, and its blocks of commands.
fn commands(document: &Document) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for (line, text) in document.prose() {
        found.extend(text.split('`').skip(1).step_by(2).map(|code| (line, code.to_owned())));
    }
    for block in document.blocks().iter().filter(|block| block.has_commands()) {
        let text = block.lines.join("\n").replace("\\\n", " ");
        // Lines that were continued are counted as one; the block's place is near enough.
        found.extend(text.lines().flat_map(in_shell).map(|command| (block.line, command)));
    }
    let is_ours = |command: &str| command.split(' ').next().is_some_and(|word| PROGRAMS.contains(&word));
    found.into_iter().filter(|(_, command)| is_ours(command)).collect()
}

const PROGRAMS: [&str; 3] = ["uncloud", "uncloud-worker", "./dev"];

/// The simple commands of a line.
fn in_shell(line: &str) -> Vec<String> {
    let line = line.split(" #").next().unwrap_or_default().replace("$(", ";").replace("&&", ";");
    let commands = line.split([';', '|']).map(|command| command.trim().trim_start_matches("$ ").trim_start());
    commands.map(|command| without_settings(command).trim_end_matches(')').to_owned()).collect()
}

/// Without `NAME=value` in front.
fn without_settings(command: &str) -> &str {
    let is_setting = |word: &str| {
        word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()))
    };
    match command.split_once(' ') {
        Some((word, rest)) if is_setting(word) => without_settings(rest.trim_start()),
        _ => command,
    }
}

impl Programs {
    fn check(&mut self, command: &str) -> Result<(), String> {
        let mut words = command.split_whitespace();
        let program = words.next().unwrap_or_default();
        if program == "./dev" {
            let wanted = words.next().unwrap_or("help");
            let names = || self.dev.lines().filter_map(|line| line.strip_prefix("./dev ")?.split(' ').next());
            let exists = wanted.split('|').all(|name| name == "help" || names().any(|known| known == name));
            return if exists { Ok(()) } else { Err(format!("./dev help has no {wanted}")) };
        }
        let mut path = vec![program.to_owned()];
        let mut is_value = false;
        for word in words {
            if let Some(option) = option(word) {
                let help = self.help(&path);
                let exists = help.split([' ', ',', '\n', '[', ']']).any(|known| known == option);
                if !exists && !["--help", "--version"].contains(&option) {
                    return Err(format!("`{}` has no option {option}", path.join(" ")));
                }
                is_value = !word.contains('=');
                continue;
            }
            if subcommands(&self.help(&path)).any(|name| name == word) {
                path.push(word.to_owned());
            } else if !is_value && is_name(word) && subcommands(&self.help(&path)).next().is_some() {
                return Err(format!("`{}` has no subcommand {word}", path.join(" ")));
            }
            is_value = false;
        }
        Ok(())
    }

    fn help(&mut self, path: &[String]) -> String {
        let ask = || {
            let program = if path[0] == "uncloud" { programs::uncloud() } else { programs::uncloud_worker() };
            succeed(clear_env(Command::new(program).args(&path[1..]).arg("--help").stdin(Stdio::null())), "")
        };
        self.helps.entry(path.to_vec()).or_insert_with(ask).clone()
    }
}

/// A long or short option without its value.
fn option(word: &str) -> Option<&str> {
    let name = word.split('=').next().filter(|name| name.starts_with('-') && name.len() > 1)?;
    if name.starts_with("--") { Some(name) } else { name.get(..2) }
}

/// The names below "Commands:" in a help.
fn subcommands(help: &str) -> impl Iterator<Item = &str> {
    let list = help.split_once("\nCommands:\n").map_or("", |(_, list)| list);
    let list = list.split("\n\n").next().unwrap_or_default().lines();
    // Their descriptions may be continued on lines with a deeper indentation.
    list.filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
}

/// Returns whether a word could be meant as a subcommand, other than `HOST`, `ID` or a value.
fn is_name(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::{in_shell, option};

    #[test]
    fn commands_in_a_shell_line_are_found() {
        let line = "$ echo x | A=b uncloud bootstrap-user --username x && uncloud-worker restore # uncloud no";
        assert_eq!(in_shell(line), ["echo x", "uncloud bootstrap-user --username x", "uncloud-worker restore"]);
        assert_eq!(
            (option("--output=json"), option("-c8"), option("x"), option("-")),
            (Some("--output"), Some("-c"), None, None)
        );
    }
}
