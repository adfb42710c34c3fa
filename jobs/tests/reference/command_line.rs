//! command-line.md: every command of both programs.

use std::fmt::Write as _;

use clap::{Arg, Command};
use uncloud_wire::program::Exit;

use crate::markdown::{GENERATED, prose_and_code, wrapped};

const INTRO: &str = "\
Every command of both programs, as `uncloud help COMMAND` and `uncloud-worker --help` print it. The settings behind the \
options are in [configuration.md](configuration.md), the problems of the API in [errors.md](errors.md).";

const OUTPUT: &str = "\
Results are on stdout, all other messages on stderr. With `--output json`, a command about one object prints the object \
that the API returns, and a list is an array of such objects; where the API has no such object, it is an object with the \
names of the table's columns. On a terminal, tables are as wide as the terminal and have colours; `NO_COLOR=1` switches \
them off. Otherwise a row is one line of any length, without colours.";

const FAILURE: &str = "\
A command that fails prints one line on stderr: what is wrong, and the accepted form or the next command.";

pub(crate) fn page() -> String {
    let mut page = format!("# Command line\n\n{GENERATED}\n\n");
    for text in [INTRO, OUTPUT, FAILURE] {
        write!(page, "{}\n\n", wrapped("", text)).expect("text");
    }
    page.push_str("## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for exit in Exit::ALL {
        writeln!(page, "| {} | {} |", exit.code(), exit.meaning().replace('|', "\\|")).expect("text");
    }
    for program in [uncloud::cli::command(), uncloud_jobs::cli::command()] {
        let mut built = program.clone();
        built.build();
        let global = program.get_arguments().filter(|arg| arg.is_global_set()).map(|arg| arg.get_id().to_string());
        section(&mut page, &program, &mut built, 2, &global.collect::<Vec<_>>());
    }
    page.trim_end().to_owned() + "\n"
}

/// A command and those below it. `own` has only the options that are its own, `built` also knows its full name.
fn section(page: &mut String, own: &Command, built: &mut Command, level: usize, global: &[String]) {
    let name = built.get_bin_name().unwrap_or(built.get_name()).to_owned();
    write!(page, "\n{} {name}\n\n", "#".repeat(level)).expect("text");
    if let Some(about) = own.get_long_about().or_else(|| own.get_about()) {
        write!(page, "{}\n\n", wrapped("", &sentence(&about.to_string()))).expect("text");
    }
    let usage = built.render_usage().to_string();
    write!(page, "```text\n{}\n```\n\n", usage.trim_start_matches("Usage: ").trim().replace("\n       ", "\n"))
        .expect("text");
    let aliases: Vec<String> = own.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        write!(page, "Alias: {}.\n\n", aliases.join(", ")).expect("text");
    }
    let is_root = level == 2;
    let shown = |arg: &&Arg| !arg.is_hide_set() && (is_root || !global.contains(&arg.get_id().to_string()));
    let below = if is_root { "Options of all commands" } else { "Options of all its commands" };
    let below = if own.has_subcommands() { below } else { "Options" };
    let titled = |arg: &Arg| match (arg.is_positional(), arg.is_global_set()) {
        (true, _) => "Arguments",
        (false, false) => "Options",
        (false, true) => below,
    };
    for title in ["Arguments", "Options", "Options of all commands", "Options of all its commands"] {
        let options: Vec<&Arg> = own.get_arguments().filter(shown).filter(|arg| titled(arg) == title).collect();
        if !options.is_empty() {
            write!(page, "{title}:\n\n").expect("text");
            for arg in options {
                page.push_str(&option(arg));
            }
            page.push('\n');
        }
    }
    if let Some(after) = own.get_after_help() {
        writeln!(page, "{}", prose_and_code(&after.to_string())).expect("text");
    }
    for below in own.get_subcommands() {
        let name = below.get_name().to_owned();
        let built = built.find_subcommand_mut(&name).expect("the same commands");
        section(page, below, built, (level + 1).min(4), global);
    }
}

/// clap drops the full stop of a single sentence.
pub(crate) fn sentence(text: &str) -> String {
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

/// An argument or an option, as an item of a list.
fn option(arg: &Arg) -> String {
    let value = arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let takes_value = arg.get_action().takes_values();
    let mut name = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, Some(long)) => format!("--{long}"),
        (None, None) => value.clone(),
    };
    if takes_value && !arg.is_positional() {
        let value = if value.is_empty() { arg.get_id().as_str().to_uppercase() } else { value };
        let optional = arg.is_require_equals_set();
        name = if optional { format!("{name}[={value}]") } else { format!("{name} {value}") };
    }
    let mut text = sentence(&help(arg));
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if takes_value && !defaults.is_empty() && !arg.is_hide_default_value_set() {
        write!(text, " Default: {}.", defaults.join(", ")).expect("text");
    }
    if let Some(variable) = arg.get_env() {
        write!(text, " Variable: `{}`.", variable.to_string_lossy()).expect("text");
    }
    for alias in arg.get_visible_aliases().unwrap_or_default() {
        write!(text, " Alias: `--{alias}`.").expect("text");
    }
    let required = if arg.is_required_set() && !arg.is_positional() { " (required)" } else { "" };
    let mut item = wrapped("- ", &format!("`{name}`{required}: {text}")) + "\n";
    for value in possible_values(arg) {
        item += &wrapped("  - ", &value);
        item.push('\n');
    }
    item
}

/// The help of an option, in full.
pub(crate) fn help(arg: &Arg) -> String {
    arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default()
}

fn possible_values(arg: &Arg) -> Vec<String> {
    if !arg.get_action().takes_values() {
        return Vec::new();
    }
    let values = arg.get_possible_values();
    let shown = values.iter().filter(|value| !value.is_hide_set());
    let text = |value: &clap::builder::PossibleValue| match value.get_help() {
        Some(help) => format!("`{}`: {}", value.get_name(), sentence(&help.to_string())),
        None => format!("`{}`", value.get_name()),
    };
    shown.map(text).collect()
}
