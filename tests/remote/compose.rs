//! The compose file's users of Redis. A shell script writes them, because there is no `uncloud` before there are containers.

use std::{fs, process::Command};

use uncloud::queue::access;
use uncloud_testkit::programs;
use uncloud_wire::Secret;

#[test]
fn compose_secrets_script_writes_same_acl_rules_as_uncloud() {
    let folder = tempfile::tempdir().expect("a folder");
    let packaging = programs::repository().join("packaging");
    fs::create_dir(folder.path().join("packaging")).expect("a folder");
    let script = folder.path().join("packaging/compose-secrets.sh");
    fs::copy(packaging.join("compose-secrets.sh"), &script).expect("copied");
    let secret = |name: &str| fs::read_to_string(folder.path().join("secrets").join(name)).expect(name);
    let run = || {
        assert!(Command::new("sh").arg(&script).arg("vpn-1.example.ch").status().expect("sh").success());
        secret("users.acl")
    };
    let acl = run();
    assert_eq!(run(), acl, "what is there stays");

    let line = |name: &str| {
        let (url, queue) = (secret(&format!("{name}.broker-url")), name.parse().expect("a queue"));
        let password = url.trim().rsplit_once('@').and_then(|(user, _)| user.rsplit_once(':')).expect("a password").1;
        let rules = access::rules(&queue, &Secret::new(password.to_owned())).join(" ");
        // In a file nothing stands before it that would have to be reset.
        format!("user {} {}", access::user_name(&queue), rules.strip_prefix("reset ").expect("first"))
    };
    // The server's rules are written down for operators, with HASH for the hash.
    let document = packaging.with_file_name("docs/operations/redis.md");
    let document = fs::read_to_string(document).expect("the document");
    let server = document.lines().map(str::trim).find(|line| line.starts_with("user server on")).expect("its line");
    let hash = acl.lines().nth(1).and_then(|line| line.split(" #").nth(1)?.split(' ').next()).expect("a hash");
    let lines: Vec<&str> = acl.lines().collect();
    assert_eq!(lines, ["user default off", &server.replace("HASH", hash), &line("billing"), &line("vpn-1.example.ch")]);
}
