//! Providers that bill: databases with customers and orders, `uncloud bill run`, and servers with billing workers.

mod customers;
mod ledger;
mod template;
mod workers;

pub use customers::{RUNS, at};
pub use ledger::Ledger;
pub use template::BillingTemplate;
pub use workers::{BillingWorkers, start_worker};

use std::process::Command;

use sqlx::{AssertSqlSafe, FromRow, PgPool, postgres::PgPoolOptions, postgres::PgRow};
use tokio::runtime::{Builder, Runtime};
use uncloud_wire::Secret;

use crate::{
    command::{clear_env, succeed},
    process::Process,
    programs,
};

/// A provider's database, with a pool to look into it and the command `uncloud` to bill with.
#[derive(Debug)]
pub struct BillingDatabase {
    /// The runtime of the test's own queries.
    pub runtime: Runtime,
    /// The database.
    pub pool: PgPool,
    url: Secret<String>,
}

impl BillingDatabase {
    /// Opens a database.
    pub fn open(url: Secret<String>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
        let pool = {
            let _runtime = runtime.enter();
            PgPoolOptions::new().max_connections(2).connect_lazy(url.expose()).expect("a URL")
        };
        Self { runtime, pool, url }
    }

    /// Returns the command `uncloud` with this database.
    pub fn uncloud(&self, args: &[&str]) -> Command {
        let mut command = Command::new(programs::uncloud());
        clear_env(command.args(args)).env("DATABASE_URL", self.url.expose());
        command
    }

    /// Runs `uncloud`, which must succeed, and returns what it printed.
    #[track_caller]
    pub fn run_uncloud(&self, args: &[&str]) -> String {
        succeed(&mut self.uncloud(args), "")
    }

    /// Starts `uncloud bill run`.
    pub fn start_bill_run(&self, as_of: &str) -> Process {
        Process::start("uncloud bill run", &mut self.uncloud(&["bill", "run", "--as-of", as_of]))
    }

    /// Executes a statement.
    pub fn execute(&self, sql: &str) {
        let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&self.pool);
        self.runtime.block_on(done).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Returns the rows of a query.
    pub fn rows<T>(&self, sql: &str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let rows = sqlx::query_as(AssertSqlSafe(sql.to_owned())).fetch_all(&self.pool);
        self.runtime.block_on(rows).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Panics if `uncloud bill verify` finds anything.
    #[track_caller]
    pub fn assert_sound(&self) {
        let faults = self.runtime.block_on(uncloud::billing::verify::verify(&self.pool)).expect("verified");
        assert!(faults.is_empty(), "{faults:?}");
    }
}

/// Waits for the end of an `uncloud bill run` that nobody kills. It may fail only because some customers cannot be
/// billed.
pub fn wait_for_bill_run(command: &mut Process) {
    let status = command.wait();
    let log = command.stderr();
    assert!(status.success() || log.contains("customers could not be billed"), "{status}: {log}");
}
