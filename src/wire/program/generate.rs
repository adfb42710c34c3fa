//! Files generated from a command line: completion scripts for shells, and man pages.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command, ValueEnum, ValueHint};
use clap_complete::shells;

use super::stdout::{print, say};

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
        let written = std::fs::create_dir_all(&self.dir).and_then(|()| clap_mangen::generate_to(command, &self.dir));
        written.with_context(|| format!("can't write man pages to {folder}"))?;
        say(&format!("man pages are in {folder}; read them with: man -l {folder}/{name}.1\n"));
        Ok(())
    }
}
