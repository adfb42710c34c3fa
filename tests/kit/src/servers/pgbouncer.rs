//! PgBouncer for tests, in front of a PostgreSQL server.

use std::{ffi::OsString, path::PathBuf};

use uncloud_wire::Secret;

use super::{PostgresServer, ServerOptions, folder::ServerFolder, watched::Watched};

/// The name of its socket; it does not listen on TCP.
const PORT: u16 = 6432;

/// A PgBouncer, reached by a unix socket.
#[derive(Debug)]
pub struct PgBouncer {
    folder: ServerFolder,
    _server: Watched,
}

impl PgBouncer {
    /// Starts it in front of a server, and waits until it accepts connections. `pool_mode` is `session` or
    /// `transaction`.
    pub fn start(postgres: &PostgresServer, pool_mode: &str) -> Self {
        let folder = ServerFolder::new();
        let (own, behind) = (folder.path.display(), postgres.folder().display());
        let settings = format!(
            "[databases]\n* = host={behind} user=uncloud\n[pgbouncer]\nlisten_port = {PORT}\nunix_socket_dir = {own}\n\
             auth_type = any\npool_mode = {pool_mode}\nignore_startup_parameters = extra_float_digits\n"
        );
        folder.write(&ServerOptions { files: vec![("pgbouncer.ini", settings.into_bytes())], args: Vec::new() });
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].map(PathBuf::from);
        let program = program.into_iter().find(|path| path.exists()).expect("pgbouncer is installed: ./dev install");
        let args: [OsString; 1] = [folder.path.join("pgbouncer.ini").into()];
        let socket = folder.path.join(format!(".s.PGSQL.{PORT}"));
        let server = Watched::start(&folder, "INT", &program, &args, || socket.exists());
        Self { folder, _server: server }
    }

    /// Returns the URL of a database behind it.
    pub fn url(&self, database: &str) -> Secret<String> {
        Secret::new(format!("postgres:///{database}?host={}&port={PORT}&user=uncloud", self.folder.path.display()))
    }
}
