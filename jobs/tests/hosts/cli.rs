//! The command line of `uncloud-worker`: an error is one line that says how to mend it, and never a password.

use std::process::Command;

use crate::process::{bare, fail, worker_program};

fn worker(args: &[&str]) -> Command {
    let mut command = Command::new(worker_program());
    bare(command.args(args));
    command
}

#[test]
fn errors_are_one_line_without_the_password() {
    let no_broker = fail(&mut worker(&["--queue", "vpn-1.example.ch"]));
    assert!(no_broker.contains("REDIS_URL") && no_broker.contains("--broker"), "{no_broker}");
    let no_queue = fail(&mut worker(&[]));
    assert!(no_queue.contains("--queue"), "{no_queue}");
    let no_name = fail(&mut worker(&["--queue", "a b"]));
    assert!(no_name.contains("--queue") && no_name.contains("vpn-1.example.ch"), "{no_name}");
    let url = "http://uncloud:hunter2@localhost";
    let wrong_url = fail(worker(&["--queue", "vpn-1.example.ch"]).env("REDIS_URL", url));
    assert!(wrong_url.contains("redis://") && !wrong_url.contains("hunter2"), "{wrong_url}");
    let no_file = fail(&mut worker(&["--queue", "billing", "--broker-file", "/nonexistent/url"]));
    assert!(no_file.contains("/nonexistent/url"), "{no_file}");
    let no_folder = fail(&mut worker(&["restore", "--state-dir", "/nonexistent/state"]));
    assert!(no_folder.contains("/nonexistent/state"), "{no_folder}");
}
