//! Exit codes of the provider's own errors.

use uncloud_wire::program::Exit;

use crate::error::{Error, is_outage};

/// Classifies an error by its causes: an object that does not exist, a server that did not respond, or any other error.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    let known = error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<Error>() {
            return of_domain(error);
        }
        let database = cause.downcast_ref::<sqlx::Error>().is_some_and(is_outage);
        let redis =
            cause.downcast_ref::<redis::RedisError>().is_some_and(|error| error.is_io_error() || error.is_timeout());
        (database || redis).then_some(Exit::NoResponse)
    });
    known.unwrap_or(Exit::Failed)
}

/// Returns the exit code of a domain error; `None` if its cause determines the code.
const fn of_domain(error: &Error) -> Option<Exit> {
    match error {
        Error::NotFound(_) => Some(Exit::NotFound),
        Error::NotReady(_) | Error::Unavailable(_) => Some(Exit::NoResponse),
        Error::Internal(_) => None,
        _ => Some(Exit::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_determine_the_code() {
        let io = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        for (error, exit) in [
            (anyhow::Error::new(Error::NotFound("job 42 not found".into())).context("can't show it"), Exit::NotFound),
            (Error::Unavailable(anyhow::anyhow!("gone")).into(), Exit::NoResponse),
            (Error::from(sqlx::Error::PoolTimedOut).into(), Exit::NoResponse),
            (anyhow::Error::new(sqlx::Error::Io(io())).context("counting"), Exit::NoResponse),
            (anyhow::Error::new(redis::RedisError::from(io())), Exit::NoResponse),
            (Error::from(sqlx::Error::RowNotFound).into(), Exit::Failed),
            (Error::field("name", "must be shorter").into(), Exit::Failed),
            (anyhow::Error::new(io()).context("a file"), Exit::Failed),
        ] {
            assert_eq!(exit_of(&error), exit, "{error:#}");
        }
    }
}
