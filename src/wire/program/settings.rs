//! Settings: the options' values from the environment and from the file of `--config`.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Arg, Command,
    builder::{OsStr, Resettable},
};

use super::env_file::{self, Settings};

/// Returns the command with the rules for all options that can also be set by an environment variable: the file of
/// `--config` supplies options that command line and environment omit, a variable without a value is not set, and help
/// shows no values.
pub fn command_with_settings(command: Command, args: &[OsString]) -> anyhow::Result<Command> {
    let file = named_file(args).map(|file| env_file::read(&file)).transpose()?;
    Ok(prepared(command, &file.unwrap_or_default()))
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

fn prepared(command: Command, settings: &Settings) -> Command {
    command
        .mut_args(|arg| option_with_settings(arg, settings))
        .mut_subcommands(|subcommand| prepared(subcommand, settings))
}

fn option_with_settings(arg: Arg, settings: &Settings) -> Arg {
    let Some(name) = arg.get_env().map(std::ffi::OsStr::to_owned) else { return arg };
    let arg = arg.hide_env_values(true);
    let arg = match std::env::var_os(&name) {
        Some(value) if value.is_empty() => arg.env(Resettable::<OsStr>::Reset), // compose files set empty variables
        _ => arg,
    };
    match name.to_str().and_then(|name| settings.get(name)).filter(|value| !value.is_empty()) {
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
    }

    fn parse(file: &str, args: &[&str]) -> Result<Sample, clap::Error> {
        let path = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
        std::fs::write(&path, file).expect("written");
        let args: Vec<OsString> = [&["x", "--example=e"], args].concat().iter().map(OsString::from).collect();
        let args = [args.get(..1).expect("a name"), &args[1..]].concat();
        let command = prepared(Sample::command(), &env_file::read(&path).expect("readable"));
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
