//! The provider's handbook, typed: each of its `http` commands with real httpie against a fresh `uncloud up`.
//!
//! Replacements, by program: scheme, host and port, and `...`, which stands for a private key. The passwords come
//! from a `pass` that knows the handbook's entries, so even those words stay as they are. With TLS the scheme of its
//! https commands stays as well, and httpie's own configuration has the authority to `--verify` by.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;
use uncloud_testkit::{
    command::{clear_env, output, succeed},
    instance::RunningInstance,
    wait::wait_until,
    world,
};

/// Word for word the handbook's.
const COMMANDS: &str = include_str!("../../../tests/handbook-commands.txt");
const HOST: &str = "vpn-2a0ae5c1200.ungleich.ch";
/// The address of the handbook's server.
const ADDRESS: &str = "localhost:8000";
/// User of a command, and where `pass` keeps the password.
const ENTRIES: [(&str, &str); 4] = [
    ("nicocustomer", "ldap/nicocustomer"),
    ("nicoschottelius", "ungleich.ch/nico.schottelius@ungleich.ch"),
    ("uncloudadmin", "uncloudadmin"),
    ("user", "user"),
];
const STAFF: [&str; 2] = ["nicoschottelius", "uncloudadmin"];

/// The commands, each on one line: the handbook's editor has broken them, with and without a backslash.
fn commands() -> Vec<String> {
    let blocks = COMMANDS.split("\n\n").map(|block| block.lines().filter(|line| !line.starts_with('#')));
    let joined = blocks.map(|lines| {
        let words = lines.flat_map(|line| line.trim_end_matches('\\').split_whitespace());
        words.collect::<Vec<_>>().join(" ")
    });
    joined.filter(|command| !command.is_empty()).collect()
}

/// The same command for our server (scheme, name and port); proves that nothing but that and the private key was touched.
fn aimed_at(server: &str, command: &str, private_key: &str) -> String {
    let place = ["https://", "http://", ""].iter().map(|scheme| format!("{scheme}{ADDRESS}/"));
    let place = place.into_iter().find(|place| command.contains(place)).expect("the command has a URL");
    let ours = format!("{server}/");
    assert_eq!(command.matches(ADDRESS).count(), 1, "{command}");
    let aimed = command.replace(&place, &ours).replace("=...", &format!("={private_key}"));
    assert_eq!(aimed.replace(&ours, &place).replace(private_key, "..."), command, "nothing else changed");
    aimed
}

/// A terminal at which somebody types the handbook's commands.
struct Terminal {
    folder: TempDir,
    server: String,
    private_key: String,
}

impl Terminal {
    /// At a machine that trusts the authority of `uncloud up --tls`.
    fn new(up: &RunningInstance, tls: bool) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let pass = folder.path().join("pass");
        let entries: String =
            ENTRIES.map(|(user, entry)| format!("{entry}) echo '{}' ;;\n", password_of(user))).concat();
        fs::write(&pass, format!("#!/bin/sh\ncase $1 in\n{entries}*) exit 1 ;;\nesac\n")).expect("written");
        fs::set_permissions(&pass, PermissionsExt::from_mode(0o755)).expect("chmod");
        let private_key = succeed(Command::new("wg").arg("genkey"), "").trim().to_owned();
        let port = up.address.rsplit_once(':').expect("a port").1;
        let server = format!("{}://localhost:{port}", if tls { "https" } else { "http" });
        if tls {
            let options =
                json!({ "default_options": [format!("--verify={}", up.data_dir.join("tls/ca.pem").display())] });
            let config = folder.path().join(".config/httpie");
            fs::create_dir_all(&config).expect("folder");
            fs::write(config.join("config.json"), options.to_string()).expect("written");
        }
        Self { folder, server, private_key }
    }

    /// Types a command and returns what came, which has this status.
    fn types(&self, command: &str, status: u16) -> Value {
        let (line, printed) = self.shown(command);
        assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{command}\n{printed}");
        let body = printed.find('{').and_then(|start| serde_json::from_str(&printed[start..]).ok());
        body.unwrap_or_else(|| panic!("no JSON: {printed}"))
    }

    /// Types a command on a terminal of its own (otherwise httpie would read its standard input): the line with the
    /// status, and all of what it shows.
    fn shown(&self, command: &str) -> (String, String) {
        let command = aimed_at(&self.server, command, &self.private_key);
        let mut script = Command::new("script");
        clear_env(script.args(["-qec", &command, "/dev/null"]).current_dir(self.folder.path()));
        let path = format!("{}:/usr/bin:/bin", self.folder.path().display());
        script.env("PATH", path).env("SHELL", "/bin/sh").env("TERM", "dumb").env("HOME", self.folder.path());
        let printed = without_colours(&String::from_utf8_lossy(&output(&mut script, "").stdout));
        let line = printed.lines().find(|line| line.starts_with("HTTP/1.1 ")).unwrap_or_default().to_owned();
        (line, printed)
    }

    /// Deletes something and waits until it is gone.
    fn remove(&self, user: &str, path: &str) {
        let command = |method: &str| format!("http -a {user}:$(pass {user}) {method} https://{ADDRESS}{path}");
        self.types(&command("DELETE"), 202);
        wait_until(&format!("{path} is gone"), || self.shown(&command("GET")).0.starts_with("HTTP/1.1 404 "));
    }
}

fn password_of(user: &str) -> String {
    format!("{user}-may-come-in")
}

/// Without what a terminal takes for colours.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn handbook_commands_over_http_succeed() {
    world::run(0, |_| every_command(false));
}

#[test]
fn handbook_commands_over_https_succeed() {
    world::run(0, |_| every_command(true));
}

fn every_command(tls: bool) {
    assert!(Path::new("/usr/bin/http").exists(), "`http` is missing: apt-get install httpie");
    let mut up = RunningInstance::start_for(HOST, |command| {
        command.args(tls.then_some("--tls"));
    });
    for (user, _) in ENTRIES {
        let options: &[&str] = if STAFF.contains(&user) { &["--staff"] } else { &[] };
        up.add_user(user, &password_of(user), options);
    }
    let terminal = Terminal::new(&up, tls);
    let commands = commands();
    let [index, signed_in, pools @ .., network] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!(pools.len(), 3, "{commands:?}");

    assert_eq!(terminal.types(index, 200)["username"], Value::Null);
    assert_eq!(terminal.types(signed_in, 200)["username"], "nicocustomer");
    for command in pools {
        let pool = terminal.types(command, 201);
        assert_eq!((&pool["network"], &pool["vpn_hostname"]), (&"2a0a:e5c1:200::/40".into(), &HOST.into()));
        let network = terminal.types(network, 201);
        assert_eq!(network["network"], "2a0a:e5c1:201::/48");
        let path = format!("/v1/net/vpn/{}", network["id"]);
        let mut active = Value::Null;
        wait_until("the network is active", || {
            active = terminal.types(&format!("http -a user:$(pass user) https://{ADDRESS}{path}"), 200);
            active["status"] == "active"
        });
        let private_key = fs::read_to_string(terminal.folder.path().join("privatekey")).expect("`tee` wrote it");
        let public_key = succeed(Command::new("wg").arg("pubkey"), &private_key);
        assert_eq!(active["wireguard_public_key"], public_key.trim());
        terminal.remove("user", &path);
        terminal.remove("uncloudadmin", &format!("/v1/admin/vpnpool/{}", pool["id"]));
    }
    assert!(up.process.terminate().success());
}
