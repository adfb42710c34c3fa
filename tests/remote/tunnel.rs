//! The ssh tunnel to PostgreSQL and certbot's hook, as they are shipped.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;
use uncloud_testkit::{
    programs::repository,
    servers::{PostgresServer, ServerOptions, free_port},
};

use crate::{certificates::certificates, postgres};

/// A child process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sh(folder: &Path, script: &str) {
    let made = Command::new("sh").args(["-euc", script]).current_dir(folder).output().expect("sh");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Starts sshd for this user, who may do nothing but reach PostgreSQL.
fn sshd(folder: &Path, port: u16, database_port: u16) -> Running {
    let user = this_user();
    let script = format!(
        "ssh-keygen -q -t ed25519 -N '' -f host
         ssh-keygen -q -t ed25519 -N '' -f key
         printf 'restrict,port-forwarding,permitopen=\"localhost:{database_port}\" %s\\n' \"$(cat key.pub)\" >authorized
         printf '[127.0.0.1]:{port} %s\\n' \"$(cut -d ' ' -f 1,2 host.pub)\" >known-hosts
         printf 'ListenAddress 127.0.0.1:{port}\\nHostKey %s/host\\nAuthorizedKeysFile %s/authorized\\nPidFile none\\n' \"$PWD\" \"$PWD\" >config
         printf 'StrictModes no\\nUsePAM no\\nPasswordAuthentication no\\nAllowUsers {user}\\n' >>config
         mkdir -p /run/sshd"
    );
    sh(folder, &script);
    let mut command = Command::new("/usr/sbin/sshd");
    command.args(["-D", "-e", "-f"]).arg(folder.join("config"));
    Running(child_of(&mut command, &folder.join("sshd.log")))
}

fn this_user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn child_of(command: &mut Command, log: &Path) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(log).expect("a log"));
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; ./dev install"))
}

/// Returns the unit's command, with this test's files and ports in the place of the machine's.
fn tunnel(folder: &Path, ports: [u16; 3]) -> Command {
    let [ssh, local, database] = ports;
    let unit = fs::read_to_string(repository().join("packaging/systemd/uncloud-database-tunnel.service")).expect("it");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    let line = line
        .replace("%d", &folder.display().to_string())
        .replace("localhost:5432:localhost:5432", &format!("localhost:{local}:localhost:{database}"))
        .replace("$UNCLOUD_DATABASE_HOST", &format!("-p {ssh} {}@127.0.0.1", this_user()));
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words);
    command
}

async fn version(url: &str) -> sqlx::Result<String> {
    let options: PgConnectOptions = url.parse()?;
    let host = options.get_host().trim_matches(['[', ']']).to_owned(); // sqlx would look it up with its brackets
    let mut connection = PgConnection::connect_with(&options.host(&host)).await?;
    sqlx::query_scalar("show server_version").fetch_one(&mut connection).await
}

/// Waits until a connection succeeds.
async fn until_reached(url: &str, log: &Path) {
    let started = Instant::now();
    while let Err(error) = version(url).await {
        let late = started.elapsed() > Duration::from_secs(20);
        assert!(!late, "{error}: {}", fs::read_to_string(log).unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn tunnel_reaches_only_the_database_and_ends_with_the_connection() {
    let folder = TempDir::with_prefix("uncloud-tunnel-").expect("folder");
    let (_database, database_port) = postgres::start().await;
    let (ssh_port, local_port) = (free_port(), free_port());
    let server = sshd(folder.path(), ssh_port, database_port);
    let log = folder.path().join("tunnel.log");
    let started = Instant::now();
    let mut running = loop {
        // sshd may not listen yet; the unit's Restart= starts the command again.
        let mut child = child_of(&mut tunnel(folder.path(), [ssh_port, local_port, database_port]), &log);
        tokio::time::sleep(Duration::from_millis(300)).await;
        if child.try_wait().expect("a child").is_none() {
            break Running(child);
        }
        let said = fs::read_to_string(&log).unwrap_or_default();
        assert!(started.elapsed() < Duration::from_secs(20), "{said}");
    };
    until_reached(&postgres::url("localhost", local_port, "sslmode=require"), &log).await;
    // Another port of the database's machine is none of its business.
    let other = free_port();
    let mut astray = Running(child_of(&mut tunnel(folder.path(), [ssh_port, other, ssh_port]), &log));
    assert!(version(&postgres::url("localhost", other, "sslmode=require")).await.is_err());
    let _ = astray.0.kill();
    // The connection is a child of the server.
    sh(folder.path(), &format!("pkill -P {}", server.0.id()));
    drop(server);
    let ended = Instant::now();
    while running.0.try_wait().expect("a child").is_none() {
        assert!(ended.elapsed() < Duration::from_mins(1), "it ends, so that systemd starts it again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn hook_of_certbot_gives_postgres_its_renewed_certificate() {
    let folder = TempDir::with_prefix("uncloud-certbot-").expect("folder");
    sh(
        folder.path(),
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=old -keyout server.key -out server.crt
         mkdir db.example.ch",
    );
    for (name, bytes) in certificates().server_files() {
        let name = if name == "server.key" { "privkey.pem" } else { "fullchain.pem" };
        fs::write(folder.path().join("db.example.ch").join(name), bytes).expect("written");
    }
    let read = |name: &'static str| (name, fs::read(folder.path().join(name)).expect(name));
    let port = free_port();
    let settings =
        ["listen_addresses=::1", "ssl=on", "ssl_cert_file={DIR}/server.crt", "ssl_key_file={DIR}/server.key"];
    let mut args: Vec<String> = vec!["-p".into(), port.to_string()];
    args.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting.to_owned()]));
    let options = ServerOptions { files: vec![read("server.key"), read("server.crt")], args };
    let server = PostgresServer::start_with(&options);
    let url =
        postgres::url("[::1]", port, &format!("sslmode=verify-full&sslrootcert={}", certificates().ca().display()));
    assert!(version(&url).await.is_err(), "the old certificate is of nobody");

    let owner = Command::new("stat").args(["-c", "%U"]).arg(server.folder()).output().expect("stat");
    let owner = String::from_utf8(owner.stdout).expect("text").trim().to_owned();
    let hook = |lineage: &str| {
        let mut hook = Command::new(repository().join("packaging/certbot/postgresql"));
        hook.env("RENEWED_LINEAGE", folder.path().join(lineage)).env("DOMAIN", "db.example.ch").env("OWNER", &owner);
        let pid = fs::read_to_string(server.folder().join("data/postmaster.pid")).expect("a pid");
        let reload = format!("kill -HUP {}", pid.lines().next().expect("a line"));
        let hook = hook.env("DATA_DIR", server.folder()).env("RELOAD", reload).output().expect("the hook");
        assert!(hook.status.success(), "{}", String::from_utf8_lossy(&hook.stderr));
    };
    hook("mail.example.ch"); // another one of this machine, which is not even there
    hook("db.example.ch");
    until_reached(&url, &server.folder().join("log")).await;
    let mode = fs::metadata(server.folder().join("server.key")).expect("the key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
