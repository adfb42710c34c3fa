//! The provider's own jobs, on the queue `billing`: its workers have the database, hosts do not. A worker for hosts
//! alone is built without this module (`--no-default-features`), and so without SQL, LDAP and web.

#[cfg(feature = "provider")]
mod billing;
#[cfg(feature = "provider")]
mod order_service;

#[cfg(feature = "provider")]
pub use here::{Database, exit_of};
#[cfg(feature = "provider")]
pub(crate) use here::{connect, handle};
#[cfg(not(feature = "provider"))]
pub use left_out::{Database, exit_of};
#[cfg(not(feature = "provider"))]
pub(crate) use left_out::{connect, handle};

/// The jobs of the queue `billing`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    BillRun,
    BillPart,
    BillEnd,
    OrderService,
}

#[cfg(feature = "provider")]
mod here {
    use serde_json::Value;
    use sqlx::PgPool;
    pub use uncloud::cli::exit_of;
    use uncloud_wire::{JobError, Secret, stream::JobControl};

    use super::{Work, billing, order_service};

    /// The provider's database.
    pub type Database = PgPool;

    /// The number of connections: enough for as many concurrent bill transactions as are useful.
    const CONNECTIONS: u32 = 8;

    pub(crate) async fn connect(url: &Secret<String>) -> anyhow::Result<Database> {
        uncloud::cli::connect(url, CONNECTIONS).await
    }

    /// Runs a job of the queue `billing`.
    pub(crate) async fn handle(
        work: Work,
        database: &Database,
        payload: &[u8],
        control: &JobControl,
    ) -> Result<Value, JobError> {
        match work {
            Work::BillRun => billing::plan(database, payload, control).await,
            Work::BillPart => billing::part(database, payload, control).await,
            Work::BillEnd => billing::end(database, payload, control).await,
            Work::OrderService => order_service::handle(database, payload).await,
        }
    }
}

#[cfg(not(feature = "provider"))]
mod left_out {
    use serde_json::Value;
    use uncloud_wire::{
        JobError, Secret,
        program::{Exit, Failure},
        stream::JobControl,
    };

    use super::Work;

    /// The absent database of a worker that is built for hosts.
    #[derive(Debug, Clone)]
    pub enum Database {}

    /// Returns the exit code for an error: one for Redis without response, and a failure for all others.
    pub fn exit_of(error: &anyhow::Error) -> Exit {
        let is_silent = |error: &redis::RedisError| error.is_io_error() || error.is_timeout();
        if error.chain().filter_map(|cause| cause.downcast_ref()).any(is_silent) {
            Exit::NoResponse
        } else {
            Exit::Failed
        }
    }

    #[expect(clippy::unused_async, reason = "the same as with the provider")]
    pub(crate) async fn connect(_: &Secret<String>) -> anyhow::Result<Database> {
        Err(Failure::usage(
            "this worker is built for hosts: the queue billing requires one with the feature `provider`",
        )
        .into())
    }

    #[expect(clippy::unused_async, reason = "the same as with the provider")]
    pub(crate) async fn handle(_: Work, database: &Database, _: &[u8], _: &JobControl) -> Result<Value, JobError> {
        match *database {}
    }
}
