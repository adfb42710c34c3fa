//! Errors of arguments, reported like all other errors: in one line.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::exit::{Exit, Failure};

/// Returns the parsed arguments. Help and version are printed here; an error of several lines with an example of the
/// usage becomes one line.
pub fn parsed<T>(result: Result<T, clap::Error>) -> anyhow::Result<T> {
    result.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => printed(&error, Exit::Success),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => printed(&error, Exit::Usage),
        _ => Failure::usage(one_line(&without_urls(&error))).into(),
    })
}

/// Prints clap's message, with colours where the terminal supports them.
fn printed(error: &clap::Error, exit: Exit) -> anyhow::Error {
    match error.print() {
        Ok(()) => Failure::silent(exit).into(),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Failure::silent(Exit::OutputClosed).into(),
        Err(error) => anyhow::Error::new(error).context("can't write the help to stdout"),
    }
}

/// Returns clap's message without the URLs that it quotes: they were meant for an option, and may contain a password.
fn without_urls(error: &clap::Error) -> String {
    let quoted = [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::InvalidSubcommand];
    let quoted = quoted.into_iter().filter_map(|kind| match error.get(kind)? {
        ContextValue::String(text) if text.contains("://") => Some(text),
        _ => None,
    });
    quoted.fold(error.render().to_string(), |message, url| message.replace(url.as_str(), "URL"))
}

fn one_line(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let lines: Vec<&str> = paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.join(" ").replace("Usage: ", "usage: ")
    });
    let paragraphs: Vec<String> = paragraphs.filter(|paragraph| !paragraph.is_empty()).collect();
    let line = paragraphs.join("; ").replace("; For more information, try '--help'.", "; try --help");
    line.strip_prefix("error: ").map(str::to_owned).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn one_line_of_a_clap_error_joins_its_paragraphs() {
        let text = "error: the following required arguments were not provided:\n  --hostname <FQDN>\n\n\
                    Usage: uncloud vpn --hostname <FQDN>\n\nFor more information, try '--help'.\n";
        assert_eq!(
            one_line(text),
            "the following required arguments were not provided: --hostname <FQDN>; \
             usage: uncloud vpn --hostname <FQDN>; try --help"
        );
    }
}
