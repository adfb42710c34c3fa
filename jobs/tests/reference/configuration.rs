//! configuration.md: every environment variable of both programs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use clap::{Arg, Command};
use uncloud_testkit::programs;

use crate::{
    command_line::{help, sentence},
    markdown::{GENERATED, wrapped},
};

const INTRO: &str = "\
A setting is an option, an environment variable or a line in a file. An option wins over its variable, and that over the \
file. A variable that is set to nothing is as good as not set, because compose files do that. Switches take `yes`, `true`, \
`on` and `1`, or `no`, `false`, `off` and `0`.";

const SECRETS: &str = "\
A secret can be in a file of its own, which the variable `NAME_FILE` or the option names. The file holds the secret and \
nothing else, in UTF-8: blanks count, the last line end does not. A file that is empty, has more than one line, begins with a \
byte order mark or does not exist is an error, and so is a secret that is set in both ways. Neither help nor logs nor errors \
show the value of a setting that is secret.";

const FILES: &str = "\
`--config FILE` (or `UNCLOUD_CONFIG`) names a file of `NAME=value` lines. It is read as systemd reads an `EnvironmentFile=`, \
so that one file serves units, containers and the command line:";

const RULES: [&str; 7] = [
    "Blank lines and lines that begin with `#` or `;` are skipped. A value can't be followed by a comment.",
    "Blanks around the name and around the value are dropped. The last line of a name wins.",
    "A value in single or double quotation marks keeps its blanks and line ends. Between double ones, `\\\"`, `\\\\`, `` \\` `` \
     and `\\$` stand for the character after the backslash.",
    "Outside quotation marks a backslash stands for the character after it, and joins two lines at the end of one.",
    "`$` has no meaning: no variable is replaced.",
    "`export ` before a name is dropped, so that a shell can read the file as well.",
    "A line without `=`, a name that no variable can have, a quotation mark that is never closed, text after a closing one, a \
     comment that ends in a backslash, a byte order mark, a NUL and text that is not UTF-8 are errors, which name the file and the line.",
];

const DIFFERENCES: [(&str, &str, &str, &str); 10] = [
    ("`X=a b`, `X=a#b`, `X=a=b`, `X=$HOME`", "the text behind the first `=`", "the same", "the same"),
    ("`X=\"a b\"`", "`a b`", "`a b`", "`\"a b\"`, with the marks"),
    ("`X=a\\b`", "`ab`", "`ab`", "`a\\b`"),
    ("`X= a `", "`a`", "`a`", "` a `"),
    ("`X = a`", "`a`", "`a`", "an error: a name with a blank"),
    ("`; comment`", "skipped", "skipped", "an error: a name with a blank"),
    ("`export X=a`", "`a`", "skipped with a warning", "an error: a name with a blank"),
    ("`X` without `=`", "an error", "skipped", "the value that X has where docker runs"),
    ("`X=\"a`", "an error", "the value goes on to the end of the file", "`\"a`"),
    ("a byte order mark", "an error", "the first line is skipped with a warning", "skipped"),
];

const PORTABLE: &str = "\
A file that all of them read alike has neither quotation marks nor backslashes nor blanks at the ends of values.";

/// Variables that no option names, in the programs or the libraries below them.
const OTHERS: [(&str, &str); 10] = [
    ("CLICOLOR_FORCE", "Set to 1: colours also where stdout or stderr is not a terminal."),
    ("COLUMNS", "Width of a terminal that does not know its own."),
    (
        "LISTEN_FDS",
        "Set by systemd: `uncloud serve` serves the socket that it was handed, instead of `UNCLOUD_LISTEN`.",
    ),
    ("NO_COLOR", "Set to anything: no colours."),
    ("NOTIFY_SOCKET", "Set by systemd: `uncloud-worker` says when it is ready, alive and stopping (`WATCHDOG_USEC`)."),
    (
        "PATH",
        "Where `uncloud up` finds PostgreSQL's and Redis' programs, and workers find `ip`, `wg` and `wireguard-go`.",
    ),
    ("RUST_LOG", "Which messages are logged, as in `info,uncloud::queue=debug`; `UNCLOUD_LOG_LEVEL` wins over it."),
    ("TERM", "Set to `dumb`, or not set: progress is not shown on one line."),
    (
        "XDG_DATA_HOME",
        "Folder below which `uncloud up` keeps its data, unless it runs as root; `~/.local/share` if not set.",
    ),
    ("XDG_RUNTIME_DIR", "Folder for the sockets of `uncloud up`, unless it runs as root."),
];

/// The options that a variable sets: their texts, and the commands that have them.
type Options = BTreeMap<String, Vec<String>>;

pub(crate) fn page() -> String {
    let mut page = format!("# Configuration\n\n{GENERATED}\n\n{}\n\n{}\n\n", wrapped("", INTRO), wrapped("", SECRETS));
    page += "## Variables\n";
    let variables = variables();
    for (name, options) in &variables {
        // A file that only holds another variable's value stands with it.
        if name.strip_suffix("_FILE").is_none_or(|name| !variables.contains_key(name)) {
            page += &entry(name, options, variables.contains_key(&format!("{name}_FILE")));
        }
    }
    page += "\n## Variables without an option\n\n";
    for (name, about) in OTHERS {
        writeln!(page, "{}", wrapped("- ", &format!("`{name}`: {about}"))).expect("text");
    }
    write!(page, "\n## Files of settings\n\n{}\n\n", wrapped("", FILES)).expect("text");
    for rule in RULES {
        writeln!(page, "{}", wrapped("- ", rule)).expect("text");
    }
    page += "\nWhere the readers of such files agree and differ:\n\n| line | uncloud | systemd | docker --env-file |\n|---|---|---|---|\n";
    for (line, ours, systemd, docker) in DIFFERENCES {
        writeln!(page, "| {line} | {ours} | {systemd} | {docker} |").expect("text");
    }
    write!(page, "\n{}\n", wrapped("", PORTABLE)).expect("text");
    page
}

fn entry(name: &str, options: &Options, has_file: bool) -> String {
    let mut text = format!("\n### {name}\n\n");
    for (option, commands) in options {
        let (option, about) = option.split_once(' ').expect("an option and its text");
        let item = format!("`{option}` of {}: {about}", commands.join(", "));
        writeln!(text, "{}", wrapped("- ", &item)).expect("text");
    }
    if has_file {
        writeln!(text, "- `{name}_FILE`: file that holds the value.").expect("text");
    }
    text
}

fn variables() -> BTreeMap<String, Options> {
    let mut variables = BTreeMap::new();
    for program in [uncloud::cli::command(), uncloud_jobs::cli::command()] {
        let global = program.get_arguments().filter(|arg| arg.is_global_set()).map(|arg| arg.get_id().to_string());
        let (name, global) = (program.get_name().to_owned(), global.collect::<Vec<_>>());
        collect(&program, &name, &[], &mut variables);
        for below in program.get_subcommands() {
            collect(below, &format!("{name} {}", below.get_name()), &global, &mut variables);
        }
    }
    variables
}

/// The options of a command and those below it, but for those of all commands.
fn collect(command: &Command, name: &str, global: &[String], variables: &mut BTreeMap<String, Options>) {
    let is_root = global.is_empty();
    for arg in command.get_arguments().filter(|arg| !global.contains(&arg.get_id().to_string())) {
        let Some(variable) = arg.get_env() else { continue };
        let options = variables.entry(variable.to_string_lossy().into_owned()).or_default();
        let commands = options.entry(format!("--{} {}", arg.get_long().unwrap_or_default(), about(arg))).or_default();
        let everywhere = is_root && arg.is_global_set();
        commands.push(if everywhere { format!("all commands of `{name}`") } else { format!("`{name}`") });
    }
    if !is_root {
        for below in command.get_subcommands() {
            collect(below, &format!("{name} {}", below.get_name()), global, variables);
        }
    }
}

/// The meaning of an option, its values and its default.
fn about(arg: &Arg) -> String {
    let mut text = sentence(&help(arg));
    if arg.get_action().takes_values() {
        let values = arg.get_possible_values();
        let values: Vec<String> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
        if !values.is_empty() {
            write!(text, " Values: {}.", values.join(", ")).expect("text");
        }
        if let Some(default) = arg.get_default_values().first() {
            write!(text, " Default: `{}`.", default.to_string_lossy()).expect("text");
        }
    }
    text
}

/// The names in calls of `env::var` below a folder.
fn read_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("source").flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_in(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("source");
            for call in ["env::var(\"", "env::var_os(\""] {
                let calls = text.split(call).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
                names.extend(calls);
            }
        }
    }
}

#[test]
fn variables_read_by_the_code_are_all_described() {
    let mut names = BTreeSet::new();
    for folder in ["src", "jobs/src"] {
        read_in(&programs::repository().join(folder), &mut names);
    }
    let (options, others) = (variables(), OTHERS.map(|(name, _)| name));
    let missing: Vec<&String> =
        names.iter().filter(|name| !options.contains_key(*name) && !others.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "describe {missing:?} in OTHERS");
    assert!(names.len() > 3, "the search finds something: {names:?}");
}

#[test]
fn secret_variables_have_a_file_form_and_no_default() {
    let variables = variables();
    for name in
        ["DATABASE_URL", "REDIS_URL", "UNCLOUD_SECRET_KEY", "UNCLOUD_ADMIN_PASSWORD", "UNCLOUD_LDAP_BIND_PASSWORD"]
    {
        assert!(variables.contains_key(&format!("{name}_FILE")), "{name}");
        assert!(variables[name].keys().all(|option| !option.contains("Default")), "{name}");
    }
}
