//! Files generated from a command line: completion scripts for shells, and man pages.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command, ValueEnum, ValueHint};
use clap_complete::shells;
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::{
    exit::Exit,
    stdout::{print, say},
};

/// Options of `completion`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell to complete for.
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells with a completion script.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}

impl CompletionArgs {
    /// Prints the script that completes `command`.
    pub fn run(&self, mut command: Command) -> anyhow::Result<()> {
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        match self.shell {
            Shell::Bash => clap_complete::generate(shells::Bash, &mut command, name, &mut script),
            Shell::Zsh => clap_complete::generate(shells::Zsh, &mut command, name, &mut script),
            Shell::Fish => clap_complete::generate(shells::Fish, &mut command, name, &mut script),
        }
        print(script)
    }
}

/// Options of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder that the pages are written to; created if it does not exist.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: PathBuf,
}

impl ManArgs {
    /// Writes the pages of `command` and all its subcommands.
    pub fn run(&self, command: Command) -> anyhow::Result<()> {
        let (folder, name) = (self.dir.display(), command.get_name().to_owned());
        let mut command = command.disable_help_subcommand(true);
        command.build();
        let source = format!("{name} {}", command.get_version().unwrap_or_default());
        let written = std::fs::create_dir_all(&self.dir).and_then(|()| write_pages(&command, &self.dir, &source));
        written.with_context(|| format!("can't write man pages to {folder}"))?;
        say(&format!("man pages are in {folder}; read them with: man -l {folder}/{name}.1\n"));
        Ok(())
    }
}

fn write_pages(command: &Command, folder: &Path, source: &str) -> std::io::Result<()> {
    for below in command.get_subcommands() {
        write_pages(below, folder, source)?;
    }
    // The text below the help becomes sections here, because clap_mangen would join the lines of examples.
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let man = Man::new(command.clone().after_help(None::<&str>).after_long_help(None::<&str>)).source(source);
    let mut page = Vec::new();
    man.render(&mut page)?;
    sections(&after).to_writer(&mut page)?;
    std::fs::write(folder.join(man.get_filename()), page)
}

/// Returns the sections for the text below a command's help and for the exit codes.
fn sections(after: &str) -> Roff {
    let mut roff = Roff::new();
    let begin = after.lines().take_while(|line| !line.starts_with("Example")).map(|line| line.len() + 1).sum::<usize>();
    let (notes, examples) = after.split_at(begin.min(after.len()));
    if !notes.trim().is_empty() {
        roff.control("SH", ["NOTES"]);
        lines(&mut roff, notes.trim());
    }
    if let Some((_, examples)) = examples.split_once('\n') {
        roff.control("SH", ["EXAMPLES"]);
        lines(&mut roff, examples);
    }
    roff.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        roff.control("TP", []);
        roff.text([roman(exit.code().to_string())]);
        roff.text([roman(exit.meaning())]);
    }
    roff
}

/// Adds lines of text: prose is filled, indented lines stay as they are.
fn lines(roff: &mut Roff, text: &str) {
    let mut as_is = false;
    for line in text.lines() {
        if line.starts_with("  ") != as_is {
            as_is = !as_is;
            roff.control(if as_is { "nf" } else { "fi" }, []);
        }
        if line.is_empty() {
            roff.control("PP", []);
        } else {
            roff.text([roman(line)]);
        }
    }
    if as_is {
        roff.control("fi", []);
    }
}
