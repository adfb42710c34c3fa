//! Real servers for tests, each in a folder of its own in `/tmp`, removed together with the test program.

mod folder;
mod pgbouncer;
mod port;
mod postgres;
mod redis;
mod slapd;
mod watched;

pub use pgbouncer::PgBouncer;
pub use port::free_port;
pub use postgres::PostgresServer;
pub use redis::RedisServer;
pub use slapd::{SERVICE_PASSWORD, STAFF_GROUP, Slapd, directory, password_of};

/// Options of a server beyond the usual: certificates, access rules, a port.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// Files for the server's folder, readable only by the server.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// Further arguments of the program; `{DIR}` in them stands for the server's folder.
    pub args: Vec<String>,
}

impl ServerOptions {
    /// Returns options with settings for PostgreSQL, such as `jit=on`.
    fn settings(settings: &[&str]) -> Self {
        let args = settings.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]).collect();
        Self { args, files: Vec::new() }
    }
}
