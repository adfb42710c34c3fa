//! A PostgreSQL that takes nothing but TLS from the network, over IPv6, as the handbook sets it up.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use sqlx::{Connection as _, Executor as _, PgConnection};
use uncloud_testkit::servers::{PostgresServer, ServerOptions, free_port};

use crate::certificates::certificates;

pub const PASSWORD: &str = "hunter2-of-the-database";

/// A server, and its port on ::1.
pub async fn start() -> (PostgresServer, u16) {
    let port = free_port();
    let mut files = certificates().server_files();
    files.push(("pg_hba.conf", b"local all all trust\nhostssl all all all scram-sha-256\n".to_vec()));
    let settings = [
        "listen_addresses=::1,127.0.0.1".to_owned(),
        "ssl=on".to_owned(),
        "ssl_cert_file={DIR}/server.pem".to_owned(),
        "ssl_key_file={DIR}/server.key".to_owned(),
        "hba_file={DIR}/pg_hba.conf".to_owned(),
    ];
    let mut args: Vec<String> = vec!["-p".into(), port.to_string()];
    args.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
    let server = PostgresServer::start_with(&ServerOptions { files, args });
    let local = format!("{}&port={port}", server.url("postgres").expose());
    let mut admin = PgConnection::connect(&local).await.expect("by its socket");
    admin.execute(sqlx::AssertSqlSafe(format!("alter role uncloud password '{PASSWORD}'"))).await.expect("a password");
    (server, port)
}

pub fn url(host: &str, port: u16, options: &str) -> String {
    format!("postgres://uncloud:{PASSWORD}@{host}:{port}/uncloud?{options}")
}

fn run(args: &[&str], url: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uncloud"));
    command.args(args).env_clear().env("DATABASE_URL", url).stdin(Stdio::null());
    command.output().expect("uncloud")
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(!text.contains(PASSWORD), "{text}");
    text
}

fn with_ca(mode: &str, ca: &Path) -> String {
    format!("sslmode={mode}&sslrootcert={}", ca.display())
}

#[tokio::test]
async fn postgres_connection_without_tls_or_valid_certificate_is_refused() {
    let (server, port) = start().await;
    let (ca, stranger) = (certificates().ca(), certificates().strangers_ca());
    for (host, options) in [
        ("[::1]", "sslmode=require".to_owned()),
        ("[::1]", with_ca("verify-full", &ca)),
        ("[::1]", with_ca("verify-ca", &ca)),
        ("127.0.0.1", with_ca("verify-ca", &ca)),
    ] {
        let output = run(&["migrate"], &url(host, port, &options));
        assert!(output.status.success(), "{host} {options}: {}", said(&output));
        let output = run(&["user", "ls", "--output", "json"], &url(host, port, &options));
        assert!(output.status.success() && said(&output).contains("[]"), "{}", said(&output));
    }
    for (host, options, reason) in [
        ("[::1]", "sslmode=disable".to_owned(), "no encryption"),
        ("[::1]", "sslmode=verify-full".to_owned(), "UnknownIssuer"),
        ("[::1]", with_ca("verify-full", &stranger), "UnknownIssuer"),
        ("127.0.0.1", with_ca("verify-full", &ca), "certificate not valid for name"),
        ("[::1]", with_ca("verify-full", Path::new("/nonexistent")), "No such file"),
    ] {
        let output = run(&["migrate"], &url(host, port, &options));
        let said = said(&output);
        assert!(!output.status.success() && said.contains(reason), "{host} {options}: {said}");
        assert!(said.contains("can't connect to PostgreSQL"), "{said}");
    }
    let wrong = url("[::1]", port, "sslmode=require").replace(PASSWORD, "wrong");
    let output = run(&["migrate"], &wrong);
    assert!(said(&output).contains("password authentication failed"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(1), "the server has responded");
    drop(server);
}
