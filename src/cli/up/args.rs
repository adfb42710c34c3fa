//! Options of `uncloud up`.

use std::{net::SocketAddr, path::PathBuf};

use clap::ValueHint;
use uncloud_wire::{
    Secret,
    program::{address, switch},
};

use crate::cli::{
    config::{RedisArgs, SecretKeyArgs},
    front::FrontArgs,
    ldap::LdapArgs,
};

const EXAMPLE: &str = "\
PostgreSQL and Redis are started as private child processes. DATABASE_URL and REDIS_URL take their
place; the workers log in as the same user of that Redis, so it needs
  ~uncloud:* +@stream +ping +scan +evalsha +script|load +multi +exec
Without a secret key, DIR/secret-key is used, which the first start creates.

Examples:
  uncloud up
  uncloud up --data-dir ~/uncloud --listen 127.0.0.1:8080 --tls
  uncloud up --queue $(hostname) --queue vpn-2a0ae5c1200.ungleich.ch      # two VPN hosts";

/// Options of `up`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct UpArgs {
    /// Folder for all data [default: /var/lib/uncloud as root, else ~/.local/share/uncloud].
    #[arg(long, env = "UNCLOUD_DATA_DIR", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) data_dir: Option<PathBuf>,

    /// Address and port of the API; port 0 takes any free one.
    #[arg(long, env = "UNCLOUD_LISTEN", default_value = "127.0.0.1:8000", value_name = "ADDRESS:PORT", value_parser = address)]
    pub(super) listen: SocketAddr,

    /// Serve https, with a certificate for localhost from an authority of its own: trust DIR/tls/ca.pem, which the first
    /// start creates.
    #[arg(long, env = "UNCLOUD_TLS", value_parser = switch)]
    pub(super) tls: bool,

    /// Address and port of /metrics for Prometheus, without a password. Staff can read /metrics on the API's address as
    /// well.
    #[arg(long, env = "UNCLOUD_METRICS_LISTEN", value_name = "ADDRESS:PORT", value_parser = address)]
    pub(super) metrics_listen: Option<SocketAddr>,

    /// Host to start a worker for; may be repeated [default: this machine's name].
    #[arg(short = 'Q', long = "queue", value_name = "HOST")]
    pub(super) queues: Vec<String>,

    /// Allow the workers to configure this machine's own network instead of a namespace per host.
    #[arg(long)]
    pub(super) host_network: bool,

    /// User of PostgreSQL and Redis when started as root [default: uncloud or postgres].
    #[arg(long, env = "UNCLOUD_RUN_AS", value_name = "USER", value_hint = ValueHint::Username)]
    pub(super) run_as: Option<String>,

    /// URL of a PostgreSQL to use instead of a private one.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", value_hint = ValueHint::Url)]
    pub(super) database_url: Option<Secret<String>>,

    /// File with the URL of PostgreSQL.
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) database_url_file: Option<PathBuf>,

    #[command(flatten)]
    pub(super) redis: RedisArgs,

    /// Password of the staff user `admin` [default: random, kept in DIR/admin-password].
    #[arg(long, env = "UNCLOUD_ADMIN_PASSWORD", value_name = "PASSWORD")]
    pub(super) admin_password: Option<Secret<String>>,

    /// File with the password of `admin`.
    #[arg(long, env = "UNCLOUD_ADMIN_PASSWORD_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) admin_password_file: Option<PathBuf>,

    #[command(flatten)]
    pub(super) secret_key: SecretKeyArgs,

    #[command(flatten)]
    pub(super) front: FrontArgs,

    #[command(flatten)]
    pub(super) ldap: LdapArgs,
}
