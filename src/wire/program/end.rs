//! The end of a program: the only place where a process gets its exit code.

use std::process::ExitCode;

use super::{
    exit::{Exit, Failure},
    stdout::say,
};
use crate::logging::one_line;

/// Prints the error, if there is one, as one line, and returns the process' exit code. `others` classifies errors that
/// are not a [`Failure`].
pub fn end(program: &str, result: anyhow::Result<()>, others: impl Fn(&anyhow::Error) -> Exit) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let exit = error.downcast_ref::<Failure>().map_or_else(|| others(&error), |failure| failure.exit);
    let line = one_line(&error);
    if !line.is_empty() {
        say(&format!("{program}: {line}\n"));
    }
    ExitCode::from(exit.code())
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn end_with_a_failure_as_cause_or_context_returns_its_code() {
        let below = anyhow::Error::new(Failure::not_found("job 42 not found")).context("can't show it");
        let context = Err::<(), _>(std::io::Error::other("refused")).context(Failure::no_response("can't connect"));
        let other = anyhow::anyhow!("no");
        for (error, expected) in [(below, 3), (context.expect_err("an error"), 4), (other, 1)] {
            let code = end("test", Err(error), |_| Exit::Failed);
            assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(expected)));
        }
    }
}
