//! https: with curl and openssl, which others will use too.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use uncloud::server::listen::TlsFiles;

use crate::app::TestApp;

/// An authority, and where its server's certificate lies.
struct Site {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Site {
    fn new() -> Self {
        Self::named("an authority")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let site = Self { folder: tempfile::tempdir().expect("a folder"), authority };
        fs::write(site.path("ca.pem"), site.authority.pem()).expect("written");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn files(&self) -> TlsFiles {
        TlsFiles { certificate: self.path("server.pem"), key: self.path("server.key") }
    }

    /// Certificate and key for a name.
    fn pair(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.authority).expect("signed").pem(), key.serialize_pem())
    }

    fn install(&self, (certificate, key): &(String, String)) {
        fs::write(self.path("server.pem"), certificate).expect("written");
        fs::write(self.path("server.key"), key).expect("written");
    }

    async fn app(&self) -> TestApp {
        let files = self.files();
        TestApp::start_changed(|settings| settings.tls = Some(files)).await
    }
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("the program is installed")
}

/// Asks by a name that leads to the server whatever it is.
async fn curl(app: &TestApp, name: &str, ca: &Path, options: &[&str]) -> Output {
    let port = app.address.port();
    let mut curl = Command::new("curl");
    curl.args(["-sSi", "--max-time", "10", "--resolve", &format!("{name}:{port}:127.0.0.1"), "--cacert"]).arg(ca);
    curl.args(options).arg(format!("https://{name}:{port}/healthz"));
    run(curl).await
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)).to_lowercase()
}

#[tokio::test]
async fn request_over_tls_returns_hsts_and_over_plain_http_fails() {
    let site = Site::new();
    site.install(&site.pair("api.example.ch"));
    let (app, ca) = (site.app().await, site.path("ca.pem"));
    let ask = async |options: &[&str]| text(&curl(&app, "api.example.ch", &ca, options).await);
    let response = ask(&[]).await;
    assert!(
        response.starts_with("http/1.1 200") && response.contains("strict-transport-security: max-age="),
        "{response}"
    );
    let response = ask(&["-H", "Host: localhost:8000"]).await;
    assert!(!response.contains("strict-transport"), "it would bind every service of that machine: {response}");

    let stranger = Site::named("a stranger");
    let response = text(&curl(&app, "api.example.ch", &stranger.path("ca.pem"), &[]).await);
    assert!(response.contains("certificate") && !response.contains("200 ok"), "{response}");
    let response = ask(&["--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0"]).await;
    assert!(!response.contains("200 ok"), "nothing below TLS 1.2: {response}");
    assert!(reqwest::get(app.url("/healthz")).await.is_err(), "no plain text beside it");
}

#[tokio::test]
async fn tls_certificate_after_renewal_is_served_without_restart() {
    let site = Site::new();
    site.install(&site.pair("old.example.ch"));
    let app = site.app().await;
    let ca = site.path("ca.pem");
    let serves = async |name: &str| text(&curl(&app, name, &ca, &[]).await).contains("200 ok");
    assert!(serves("old.example.ch").await);

    // Half of the new pair does not fit: what there is stays.
    let (certificate, key) = site.pair("new.example.ch");
    fs::write(site.path("server.pem"), &certificate).expect("written");
    let half = Instant::now();
    while half.elapsed() < Duration::from_secs(3) {
        assert!(serves("old.example.ch").await, "half a pair is not used");
    }
    // As certbot does it: another file under the name.
    fs::write(site.path("key.new"), &key).expect("written");
    fs::rename(site.path("key.new"), site.path("server.key")).expect("renamed");
    let whole = Instant::now();
    while !serves("new.example.ch").await {
        assert!(whole.elapsed() < Duration::from_secs(10), "the new pair is not served");
    }
    assert!(!serves("old.example.ch").await);
}

#[tokio::test]
async fn server_start_with_unusable_tls_files_names_the_problem() {
    let site = Site::new();
    let (certificate, key) = site.pair("api.example.ch");
    let (_, other_key) = site.pair("api.example.ch");
    let refusal = |certificate: &str, key: &str| {
        site.install(&(certificate.to_owned(), key.to_owned()));
        let error = uncloud::server::listen::Tls::start(site.files()).expect_err("refused");
        let error = uncloud_wire::logging::one_line(&error);
        assert!(!error.contains(key.lines().nth(1).unwrap_or("MII")), "nothing of the key: {error}");
        error
    };
    assert!(refusal(&certificate, &other_key).contains("can't be used"), "they do not fit");
    assert!(refusal("", &key).contains("server.pem does not contain a certificate"));
    assert!(refusal(&certificate, &certificate).contains("server.key does not contain a private key"));
    fs::remove_file(site.path("server.key")).expect("removed");
    let error = uncloud::server::listen::Tls::start(site.files()).expect_err("refused");
    assert!(uncloud_wire::logging::one_line(&error).contains("can't read the private key"), "{error:#}");

    for (option, part) in [("--tls-cert", "--tls-key"), ("--tls-key", "--tls-cert")] {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_uncloud"));
        serve.args(["serve", option, "/x.pem"]).env("DATABASE_URL", "postgres://x").env("REDIS_URL", "redis://x");
        serve.env("UNCLOUD_SECRET_KEY", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
        let output = run(serve).await;
        assert!(!output.status.success() && text(&output).contains(part), "{output:?}");
    }
}
