//! Settings: the options' values from the environment and from the file of `--config`.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Arg, Command,
    builder::{OsStr, Resettable},
    error::ErrorKind,
};

use super::env_file::{self, Settings};

/// Returns the command with the rules for all options that can also be set by an environment variable: the file of
/// `--config` supplies options that command line and environment omit, a variable without a value is not set, and help
/// shows no values. A secret and the file of that secret (`NAME`, `NAME_FILE`) are one setting: the one in the place that
/// wins hides the other.
pub fn command_with_settings(command: Command, args: &[OsString]) -> anyhow::Result<Command> {
    let settings = match named_file(args).map(|file| env_file::read(&file)).transpose() {
        Err(error) if !needs_no_settings(command.clone(), args) => return Err(error),
        settings => settings.ok().flatten().unwrap_or_default(),
    };
    Ok(prepared(command, &Sources { args, settings: &settings }))
}

/// Returns whether the command only prints something about itself: it works beside a file that can't be read.
fn needs_no_settings(command: Command, args: &[OsString]) -> bool {
    match command.try_get_matches_from(args) {
        Ok(matches) => matches!(matches.subcommand_name(), Some("completion" | "man" | "openapi")),
        Err(error) => matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion),
    }
}

/// The places that options come from, in ascending order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Nowhere,
    File,
    Environment,
    CommandLine,
}

/// The contents of those places.
#[derive(Clone, Copy)]
struct Sources<'a> {
    args: &'a [OsString],
    settings: &'a Settings,
}

impl Sources<'_> {
    /// Returns the place that determines an option.
    fn of(self, long: &str, name: &str) -> Source {
        let typed = |arg: &OsString| {
            let text = arg.to_string_lossy();
            text.strip_prefix("--").is_some_and(|text| text.split('=').next() == Some(long))
        };
        if self.args.iter().take_while(|arg| *arg != "--").any(typed) {
            Source::CommandLine
        } else if std::env::var_os(name).is_some_and(|value| !value.is_empty()) {
            Source::Environment
        } else if self.settings.get(name).is_some_and(|value| !value.is_empty()) {
            Source::File
        } else {
            Source::Nowhere
        }
    }

    /// Returns whether the other form of a secret (its file, or itself) comes from a place that wins.
    fn hide(self, long: &str, name: &str) -> bool {
        let (other_long, other) = match (long.strip_suffix("-file"), name.strip_suffix("_FILE")) {
            (Some(long), Some(name)) => (long.to_owned(), name.to_owned()),
            _ => (format!("{long}-file"), format!("{name}_FILE")),
        };
        self.of(&other_long, &other) > self.of(long, name)
    }
}

/// Returns the file of `--config`, before the command line is fully parsed.
fn named_file(args: &[OsString]) -> Option<PathBuf> {
    let mut args = args.iter().take_while(|arg| *arg != "--");
    let mut named = None;
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == "--config" {
            named = args.next().map(PathBuf::from);
        } else if let Some(file) = text.strip_prefix("--config=") {
            named = Some(PathBuf::from(file));
        }
    }
    let named = named.or_else(|| std::env::var_os("UNCLOUD_CONFIG").map(PathBuf::from));
    named.filter(|file| !file.as_os_str().is_empty())
}

fn prepared(command: Command, sources: &Sources<'_>) -> Command {
    command
        .mut_args(|arg| option_with_settings(arg, *sources))
        .mut_subcommands(|subcommand| prepared(subcommand, sources))
}

fn option_with_settings(arg: Arg, sources: Sources<'_>) -> Arg {
    let Some(name) = arg.get_env().and_then(|name| name.to_str()).map(str::to_owned) else { return arg };
    let arg = arg.hide_env_values(true);
    if arg.get_long().is_some_and(|long| sources.hide(long, &name)) {
        return arg.env(Resettable::<OsStr>::Reset);
    }
    let arg = match std::env::var_os(&name) {
        Some(value) if value.is_empty() => arg.env(Resettable::<OsStr>::Reset), // compose files set empty variables
        _ => arg,
    };
    match sources.settings.get(&name).filter(|value| !value.is_empty()) {
        // As a default, which help must not show: it may be a secret.
        Some(value) => {
            let takes_values = arg.get_action().takes_values();
            arg.default_value(value.clone()).hide_default_value(takes_values).required(false)
        }
        None => arg,
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _, Parser};

    use super::{super::values::switch, *};

    #[derive(Debug, PartialEq, Eq, Parser)]
    struct Sample {
        #[arg(long, env = "UNCLOUD_EXAMPLE_FOR_TESTS")]
        example: String,
        #[arg(long, env = "UNCLOUD_LIST_FOR_TESTS", value_delimiter = ',')]
        list: Vec<String>,
        #[arg(long, env = "UNCLOUD_SWITCH_FOR_TESTS", value_parser = switch)]
        switch: bool,
        #[arg(long, env = "UNCLOUD_NUMBER_FOR_TESTS", default_value_t = 4)]
        number: u16,
        #[arg(long, env = "UNCLOUD_SECRET_FOR_TESTS")]
        secret: Option<String>,
        #[arg(long, env = "UNCLOUD_SECRET_FOR_TESTS_FILE")]
        secret_file: Option<String>,
    }

    fn parse(file: &str, args: &[&str]) -> Result<Sample, clap::Error> {
        let path = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
        std::fs::write(&path, file).expect("written");
        let args: Vec<OsString> = [&["x", "--example=e"], args].concat().iter().map(OsString::from).collect();
        let args = [args.get(..1).expect("a name"), &args[1..]].concat();
        let settings = env_file::read(&path).expect("readable");
        let command = prepared(Sample::command(), &Sources { args: &args, settings: &settings });
        command.try_get_matches_from(args).and_then(|matches| Sample::from_arg_matches(&matches))
    }

    #[test]
    fn file_supplies_options_that_are_not_given() {
        let file = "UNCLOUD_LIST_FOR_TESTS=a,b\nUNCLOUD_SWITCH_FOR_TESTS=yes\nUNCLOUD_NUMBER_FOR_TESTS=5\nOTHER=1\n";
        let example = parse(file, &[]).expect("complete");
        assert_eq!((&example.list[..], example.switch, example.number), (&["a".into(), "b".into()][..], true, 5));
        let example = parse(file, &["--list=c", "--number", "6"]).expect("complete");
        assert_eq!((&example.list[..], example.number), (&["c".to_owned()][..], 6));
        let example = parse("UNCLOUD_NUMBER_FOR_TESTS=\n", &["--switch"]).expect("empty is not set");
        assert_eq!((example.switch, example.number), (true, 4));
        let error = parse("UNCLOUD_SWITCH_FOR_TESTS=maybe\n", &[]).expect_err("neither yes nor no").to_string();
        assert!(error.contains("--switch") && error.contains("yes or no"), "{error}");
    }

    #[test]
    fn secret_and_its_file_come_from_the_place_that_wins() {
        let secret = |file: &str, args: &[&str]| {
            let example = parse(file, args).expect("complete");
            (example.secret, example.secret_file)
        };
        let (one, other) = ("UNCLOUD_SECRET_FOR_TESTS=s\n", "UNCLOUD_SECRET_FOR_TESTS_FILE=f\n");
        assert_eq!(secret(one, &["--secret-file", "typed"]), (None, Some("typed".into())));
        assert_eq!(secret(other, &["--secret=typed"]), (Some("typed".into()), None));
        assert_eq!(secret(other, &[]), (None, Some("f".into())));
        assert_eq!(
            secret(&[one, other].concat(), &[]),
            (Some("s".into()), Some("f".into())),
            "refused where it is read"
        );
    }

    #[test]
    fn help_version_and_generators_need_no_settings() {
        let command =
            || Sample::command().version("1").subcommand(Command::new("man")).subcommand(Command::new("serve"));
        let needs_none = |args: &[&str]| {
            let args: Vec<OsString> = [&["x", "--example=e"], args].concat().iter().map(OsString::from).collect();
            needs_no_settings(command(), &args)
        };
        assert!(needs_none(&["--help"]) && needs_none(&["serve", "--help"]) && needs_none(&["--version"]));
        assert!(needs_none(&["man"]));
        assert!(!needs_none(&["serve"]) && !needs_none(&["serve", "--nonsense"]) && !needs_none(&[]));
    }

    #[test]
    fn help_shows_names_and_no_values() {
        let help = parse("UNCLOUD_EXAMPLE_FOR_TESTS=hunter2\n", &["--help"]).expect_err("help").to_string();
        assert!(help.contains("[env: UNCLOUD_EXAMPLE_FOR_TESTS]") && !help.contains("hunter2"), "{help}");
    }

    #[test]
    fn named_file_before_or_after_the_command_is_found() {
        let find = |args: &[&str]| named_file(&args.iter().map(OsString::from).collect::<Vec<_>>());
        let file = Some(PathBuf::from("f"));
        assert_eq!(find(&["uncloud", "--config", "f", "serve"]), file);
        assert_eq!(find(&["uncloud", "serve", "--config=f"]), file);
        assert_eq!(find(&["uncloud", "--config=g", "serve", "--config", "f"]), file, "the last one wins, as for clap");
        assert_eq!(find(&["uncloud", "job", "--", "--config=f"]), None);
        assert_eq!(find(&["uncloud", "serve", "--config="]), None);
    }
}
